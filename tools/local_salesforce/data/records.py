"""Records of a few standard objects, in memory, for each org: which fields there are, and what a valid record is."""

from __future__ import annotations

import datetime
import itertools
import threading
from dataclasses import dataclass
from typing import Any

from local_salesforce.clock import MovableClock
from local_salesforce.data import soql
from local_salesforce.world import Org, User, World, long_id

Row = dict[str, Any]

SYSTEM_FIELDS = ("Id", "IsDeleted", "CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp")


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A standard object: its key prefix, its fields with their defaults, and which of them a new record must have."""

    prefix: str
    fields: dict[str, Any]
    required: tuple[str, ...] = ()
    creatable: bool = True


def _empty(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split())


TYPES = {
    "Account": ObjectType(
        "001",
        _empty(
            "Name Type Industry Phone Website Description AccountNumber BillingStreet BillingCity BillingCountry"
            " ParentId OwnerId"
        ),
        ("Name",),
    ),
    "Contact": ObjectType("003", _empty("LastName FirstName Name Email Phone Title AccountId OwnerId"), ("LastName",)),
    "Case": ObjectType(
        "500",
        _empty("CaseNumber Subject Description Origin AccountId ContactId OwnerId")
        | {"Status": "New", "Priority": "Medium", "IsClosed": False},
    ),
    "User": ObjectType(
        "005",
        _empty(
            "Username LastName FirstName Name Email Alias ProfileId TimeZoneSidKey LocaleSidKey EmailEncodingKey"
            " LanguageLocaleKey"
        )
        | {"IsActive": True},
        (
            "Username",
            "LastName",
            "Email",
            "Alias",
            "ProfileId",
            "TimeZoneSidKey",
            "LocaleSidKey",
            "EmailEncodingKey",
            "LanguageLocaleKey",
        ),
    ),
    "Organization": ObjectType(
        "00D", _empty("Name InstanceName IsSandbox OrganizationType TrialExpirationDate NamespacePrefix"), creatable=False
    ),
}
CUSTOM = (
    "If you are attempting to use a custom {}, be sure to append the '__c' after the {} name."
    " Please reference your WSDL or the describe call for the appropriate names."
)
READ_ONLY = {*SYSTEM_FIELDS, "CaseNumber", "IsClosed"}


class Invalid(Exception):
    """A request that Salesforce refuses: its error code, message, and fields."""

    def __init__(self, code: str, message: str, fields: list[str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = fields or []


class Records:
    """All records of all orgs."""

    def __init__(self, world: World, clock: MovableClock) -> None:
        self._world = world
        self._clock = clock
        self._rows: dict[tuple[str, str], list[Row]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def query(self, org: Org, text: str) -> tuple[str, list[Row], int | None]:
        """Run a query: the type's name, the rows with the fields asked for, and the count if only that was asked."""
        try:
            query = soql.parse(text)
        except soql.Malformed as malformed:
            raise Invalid("MALFORMED_QUERY", str(malformed)) from None
        name, kind = _find_type(query.source, text)
        known = {field.lower(): field for field in (*SYSTEM_FIELDS, *kind.fields)}
        everything = [field for field in query.fields if field.lower() in {"fields(all)", "fields(standard)"}]
        fields = [] if query.count else list(known.values()) if everything else list(query.fields)
        for field in (*fields, *query.mentioned, *(field for field, _ in query.order)):
            if field.lower() not in known:
                raise Invalid("INVALID_FIELD", _no_such_column(text, field, name))
        rows = query.select(self._all(org, name))
        if query.count:
            return name, [], len(rows)
        return name, [{known[field.lower()]: row.get(known[field.lower()]) for field in fields} for row in rows], None

    def create(self, org: Org, type_name: str, values: Row, by: User) -> str:
        """Store a new record; return its id; Invalid."""
        name, kind = self.type(type_name)
        if not kind.creatable:
            raise Invalid("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type cannot be inserted: {name}")
        fields = _canonical(name, kind, values)
        if missing := [field for field in kind.required if not fields.get(field)]:
            raise Invalid("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", missing)
        with self._lock:
            number = next(self._numbers)
            now = self._now()
            row: Row = kind.fields | {"OwnerId": long_id(by.id)} if "OwnerId" in kind.fields else dict(kind.fields)
            row |= fields | {"Id": long_id(f"{kind.prefix}R{number:011}"), "IsDeleted": False}
            row |= dict.fromkeys(("CreatedDate", "LastModifiedDate", "SystemModstamp"), now)
            row |= dict.fromkeys(("CreatedById", "LastModifiedById"), long_id(by.id))
            _derive(name, row, number)
            self._rows.setdefault((org.name, name), []).append(row)
        return str(row["Id"])

    def get(self, org: Org, type_name: str, record_id: str) -> Row:
        """Return a record; Invalid with NOT_FOUND."""
        name, _ = self.type(type_name)
        for row in self._all(org, name):
            if record_id in {row["Id"], row["Id"][:15]}:
                return row
        raise Invalid("NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {record_id}")

    def update(self, org: Org, type_name: str, record_id: str, values: Row, by: User) -> None:
        """Change a record; Invalid."""
        name, kind = self.type(type_name)
        changes = _canonical(name, kind, values)
        with self._lock:
            row = self._writable(org, name, record_id)
            now = self._now()
            row |= changes | {"LastModifiedDate": now, "SystemModstamp": now, "LastModifiedById": long_id(by.id)}
            _derive(name, row, 0)

    def delete(self, org: Org, type_name: str, record_id: str) -> None:
        """Remove a record; Invalid."""
        name, _ = self.type(type_name)
        with self._lock:
            row = self._writable(org, name, record_id)
            self._rows[org.name, name].remove(row)

    def _writable(self, org: Org, name: str, record_id: str) -> Row:
        row = self.get(org, name, record_id)
        if not any(row is own for own in self._rows.get((org.name, name), [])):
            # It stands for an org or a user of the world, which an administrator changes.
            raise Invalid("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
        return row

    @staticmethod
    def type(type_name: str) -> tuple[str, ObjectType]:
        """Find an object's type, in any case; Invalid with NOT_FOUND."""
        for name, kind in TYPES.items():
            if name.lower() == type_name.lower():
                return name, kind
        raise Invalid("NOT_FOUND", "The requested resource does not exist")

    def _all(self, org: Org, name: str) -> list[Row]:
        return [*self._setup_records(org, name), *self._rows.get((org.name, name), [])]

    def _setup_records(self, org: Org, name: str) -> list[Row]:
        """Return the records that stand for the orgs and users of the world."""
        if name == "Organization":
            row = {
                "Id": long_id(org.id),
                "Name": org.name.partition("--")[0].title(),
                "InstanceName": "CS1" if org.sandbox else "EU1",
                "IsSandbox": org.sandbox,
                "OrganizationType": "Developer Edition",
            }
            return [TYPES[name].fields | row]
        if name == "User":
            rows = []
            for user in self._world.users:
                alias = user.username.partition("@")[0]
                row = {"Username": user.username, "LastName": alias.title(), "Name": alias.title(), "Email": user.username}
                row |= {"Id": long_id(user.id), "Alias": alias[:8], "IsActive": user.state != "inactive"}
                if user.org == org.name:
                    rows.append(TYPES[name].fields | row)
            return rows
        return []

    def _now(self) -> str:
        return datetime.datetime.fromtimestamp(self._clock.now(), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _canonical(name: str, kind: ObjectType, values: Row) -> Row:
    """Return the fields under their own names; Invalid for an unknown or a read-only one."""
    known = {field.lower(): field for field in (*SYSTEM_FIELDS, *kind.fields)}
    fields = {}
    for field, value in values.items():
        own = known.get(field.lower())
        if own is None:
            raise Invalid("INVALID_FIELD", f"No such column '{field}' on sobject of type {name}")
        if own in READ_ONLY:
            raise Invalid(
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                f"Unable to create/update fields: {own}. Please check the security settings of this field and verify that it is"
                " read/write for your profile or permission set.",
                [own],
            )
        fields[own] = value
    return fields


def _derive(name: str, row: Row, number: int) -> None:
    if name in {"Contact", "User"}:
        row["Name"] = " ".join(part for part in (row["FirstName"], row["LastName"]) if part)
    if name == "Case":
        row["CaseNumber"] = row["CaseNumber"] or f"{number:08}"
        row["IsClosed"] = row["Status"] == "Closed"


def _find_type(source: str, text: str) -> tuple[str, ObjectType]:
    for name, kind in TYPES.items():
        if name.lower() == source.lower():
            return name, kind
    words = f"sObject type '{source}' is not supported. {CUSTOM.format('object', 'entity')}"
    raise Invalid("INVALID_TYPE", _place(text, source) + words)


def _no_such_column(text: str, field: str, name: str) -> str:
    return f"{_place(text, field)}No such column '{field}' on entity '{name}'. {CUSTOM.format('field', 'custom field')}"


def _place(text: str, word: str) -> str:
    start = max(text.find(word), 0)
    return f"\n{text}\n{' ' * start}^\nERROR at Row:1:Column:{start + 1}\n"
