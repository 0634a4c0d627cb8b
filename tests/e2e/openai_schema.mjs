// Validators of what OpenAI's API answers: JSON Schemas made of openai_answers.d.ts, closed, so that a member that a type does not have is
// a violation like one that is missing. Made once for each version of the SDK and of what is written here (a few seconds, without a network),
// and kept in node_modules/.cache.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";

const self = fileURLToPath(import.meta.url);
const here = dirname(self);
const types = join(here, "openai_answers.d.ts");
const tsconfig = join(here, "tsconfig.json");
const packages = join(here, "node_modules");
const root = "Answers";

function cachePath() {
  const made = ["openai-published", "ts-json-schema-generator"].map((name) => join(packages, name, "package.json"));
  const hash = createHash("sha256");
  [...made, types, tsconfig, self].forEach((path) => hash.update(readFileSync(path)));
  return join(packages, ".cache", `openai-schema-${hash.digest("hex").slice(0, 16)}.json`);
}

async function generate() {
  const { createGenerator } = await import("ts-json-schema-generator");
  const options = { path: types, tsconfig, type: root, skipTypeCheck: true, additionalProperties: false, encodeRefs: true };
  return createGenerator(options).createSchema(root);
}

async function generated() {
  const path = cachePath();
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  const schema = await generate();
  mkdirSync(dirname(path), { recursive: true });
  // Renamed into place, so that nobody reads half of it.
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(schema));
  renameSync(`${path}.${process.pid}`, path);
  return schema;
}

function definition(schema, name) {
  const found = schema.definitions[name];
  if (!found) throw new Error(`the SDK has no type ${name} any more`);
  return found;
}

// What the service answers otherwise than the SDK's types have it, by its API reference.
function correct(schema) {
  const response = definition(schema, "Response");
  const nullable = (name) => (response.properties[name] = { anyOf: [response.properties[name], { type: "null" }] });
  // "SDK-only convenience property", says its own description: it is not on the wire.
  delete response.properties.output_text;
  response.required = response.required.filter((name) => name !== "output_text");
  // The reference has these; the types lack them.
  response.properties.store = { type: "boolean" };
  definition(schema, "ResponseFunctionCallArgumentsDoneEvent").properties.name = { type: "string" };
  // Null in the reference's examples: of a response without a user, and of one that has not ended.
  nullable("user");
  nullable("usage");
}

// What this API has no place for, where servers of open models and Google's own OpenAI surface have it, and their clients look for it.
const text = { type: "string" };
const thoughts = { reasoning: text, reasoning_content: text, reasoning_details: { type: "array", items: { type: "object" } } };
const signature = {
  extra_content: { type: "object", properties: { google: { type: "object", properties: { thought_signature: text }, additionalProperties: false } }, additionalProperties: false },
};
const extensions = {
  ChatCompletionMessage: { ...thoughts, ...signature },
  ChatCompletionMessageFunctionToolCall: signature,
  "ChatCompletionChunk.Choice.Delta": { ...thoughts, ...signature },
  "ChatCompletionChunk.Choice.Delta.ToolCall": signature,
};

function extend(schema) {
  for (const [name, members] of Object.entries(extensions)) Object.assign(definition(schema, name).properties, members);
}

const schema = await generated();
correct(schema);
extend(schema);
const ajv = new Ajv({ strict: true, allowUnionTypes: true, allErrors: true });
ajv.addSchema(schema, "openai");

const validators = {};
for (const [name, part] of Object.entries(definition(schema, root).properties)) {
  // A type that the generator cannot find becomes a schema that takes anything.
  if (Object.keys(part).length === 0) throw new Error(`no type for ${name}`);
  validators[name] = ajv.compile({ $ref: `openai#/definitions/${root}/properties/${name}` });
}
// Each event by itself: of the union, a violation would list the complaints of all its members.
const events = new Map();
for (const { $ref } of definition(schema, "ResponseStreamEvent").anyOf) {
  const name = decodeURIComponent($ref.slice("#/definitions/".length));
  events.set(definition(schema, name).properties.type.const, ajv.compile({ $ref: `openai${$ref}` }));
}

// Members that are the extensions'.
export const extended = [...new Set(Object.values(extensions).flatMap(Object.keys))];

export const eventTypes = [...events.keys()];

// The deepest ones first: those on top only say that something within them is wrong.
function complaints(errors) {
  const depth = (error) => error.instancePath.split("/").length;
  return [...errors]
    .sort((a, b) => depth(b) - depth(a))
    .slice(0, 6)
    .map((e) => `${e.instancePath || "/"} ${e.message} ${JSON.stringify(e.params)}`);
}

// What is wrong with `tree` as a `kind`, a member of Answers: an empty list if nothing is.
export function violations(kind, tree) {
  const validate = kind === "event" ? events.get(tree?.type) : validators[kind];
  if (!validate) return [kind === "event" ? `no event is called ${tree?.type}` : `no kind of answer is called ${kind}`];
  return validate(tree) ? [] : complaints(validate.errors);
}
