// What the tests of the Node SDKs share: where the gateway in front of several vendors is (gateway.py sets it), and what is asked.
export const url = process.env.CROSSDOCK_VENDORS_URL;
export const vendors = process.env.CROSSDOCK_VENDORS.split(" ");
export const forcing = process.env.CROSSDOCK_FORCING.split(" "); // can be told to call a tool
export const coded = process.env.CROSSDOCK_CODED; // a model whose name must be coded in a path
export const key = process.env.CROSSDOCK_KEY;
export const aws = {
  accessKeyId: process.env.CROSSDOCK_AWS_ACCESS_KEY_ID,
  secretAccessKey: process.env.CROSSDOCK_AWS_SECRET_ACCESS_KEY,
};
export const question = "What is the tide in Brest?";
export const parameters = {
  type: "object",
  properties: { port: { type: "string" }, metres: { type: "boolean" } },
  required: ["port", "metres"],
  additionalProperties: false,
};
export const results = ["3.2 m", "4.1 m"]; // of the tool, in an agent's two rounds
export const argumentNames = ["metres", "port"];
