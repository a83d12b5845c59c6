// jsforce with tokens of the Salesforce Token Broker: needs jsforce 3 and @aws-sdk/client-lambda.
// SALESFORCE_BROKER_FUNCTION names the broker's function; the caller may lambda:InvokeFunction on it.
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { Connection } from "jsforce";

const lambda = new LambdaClient();

export async function token(request = {}) {
  const FunctionName = process.env.SALESFORCE_BROKER_FUNCTION;
  const answer = await lambda.send(new InvokeCommand({ FunctionName, Payload: JSON.stringify(request) }));
  const body = JSON.parse(Buffer.from(answer.Payload).toString());
  if (answer.FunctionError) throw new Error(body.errorMessage);
  return body;
}

export async function connect() {
  let held = await token();
  return new Connection({
    instanceUrl: held.instance_url,
    accessToken: held.access_token,
    // jsforce calls this when Salesforce has refused the token, and sends the request again.
    refreshFn: async (_connection, callback) => {
      try {
        held = await token({ rejected: held.fingerprint });
        callback(null, held.access_token);
      } catch (error) {
        callback(error);
      }
    },
  });
}
