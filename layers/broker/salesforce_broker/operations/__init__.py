"""What operators do: key rotation and emergency stop. The functions that hand out tokens import none of it."""
