// AWS's SDK for Node.js with the Converse API of Bedrock, to models of every vendor. It speaks HTTP/2 from the first byte, without TLS, too.
import assert from "node:assert/strict";
import test, { after } from "node:test";
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import { argumentNames, aws, forcing, key, parameters, question, results, url, vendors } from "./vendors.mjs";

const shared = { endpoint: url, region: "eu-west-1", maxAttempts: 1 };
const client = new BedrockRuntimeClient({ ...shared, credentials: aws });
after(() => client.destroy());
const messages = [{ role: "user", content: [{ text: question }] }];
const tools = [{ toolSpec: { name: "get_tide", description: "Tide height", inputSchema: { json: parameters } } }];
const textOf = ({ content }) => content.map((block) => block.text ?? textOf(block.citationsContent ?? { content: [] })).join("");
const converse = (input) => client.send(new ConverseCommand({ messages, ...input }));

for (const modelId of vendors) {
  test(`bedrock > ${modelId}: a stream is the plain answer`, async () => {
    const plain = await converse({ modelId });
    assert.match(textOf(plain.output.message), /^\[simulated\]/);
    assert.equal(plain.stopReason, "end_turn");
    let text = "";
    const reasons = [];
    for await (const event of (await client.send(new ConverseStreamCommand({ modelId, messages }))).stream) {
      text += event.contentBlockDelta?.delta?.text ?? "";
      if (event.messageStop) reasons.push(event.messageStop.stopReason);
    }
    assert.equal(text, textOf(plain.output.message));
    assert.deepEqual(reasons, ["end_turn"]);
  });

  test(`bedrock > ${modelId}: agent of two rounds`, { skip: !forcing.includes(modelId) }, async () => {
    const asked = [...messages];
    for (const text of results) {
      const said = await converse({ modelId, messages: asked, toolConfig: { tools, toolChoice: { any: {} } } });
      assert.equal(said.stopReason, "tool_use");
      const { toolUse } = said.output.message.content.find((block) => block.toolUse);
      assert.deepEqual(Object.keys(toolUse.input).sort(), argumentNames);
      const result = { toolResult: { toolUseId: toolUse.toolUseId, content: [{ text }] } };
      asked.push(said.output.message, { role: "user", content: [result] });
    }
    const final = await converse({ modelId, messages: asked, toolConfig: { tools } });
    assert.equal(final.stopReason, "end_turn");
    assert.ok(textOf(final.output.message).includes(results.at(-1)));
  });

  test(`bedrock > ${modelId}: errors have their class`, async () => {
    await assert.rejects(converse({ modelId: `${modelId}-refused` }), { name: "ValidationException" });
    await assert.rejects(converse({ modelId: `${modelId}-limited` }), { name: "ThrottlingException" });
    await assert.rejects(converse({ modelId: `${modelId}-failing` }), (e) => e.$metadata.httpStatusCode >= 424);
  });

  test(`bedrock > ${modelId}: a stream that breaks is an error`, async () => {
    const { stream } = await client.send(new ConverseStreamCommand({ modelId: `${modelId}-broken`, messages }));
    await assert.rejects(async () => {
      for await (const event of stream) assert.ok(!event.messageStop);
    });
  });
}

test("bedrock: keys, signatures, models", async () => {
  const ask = async (options) => {
    const other = new BedrockRuntimeClient({ ...shared, ...options });
    try {
      return await other.send(new ConverseCommand({ modelId: "openai", messages }));
    } finally {
      other.destroy();
    }
  };
  const refused = (e) => [401, 403].includes(e.$metadata.httpStatusCode);
  await assert.rejects(ask({ credentials: { ...aws, secretAccessKey: "wrong" } }), refused);
  await assert.rejects(ask({ credentials: { ...aws, accessKeyId: "NOBODY" } }), refused);
  const bearer = (token) => ({ token: { token }, authSchemePreference: ["httpBearerAuth"] });
  assert.ok((await ask(bearer(key))).output.message);
  await assert.rejects(ask(bearer("wrong")), refused);
  await assert.rejects(converse({ modelId: "nope" }), { name: "ResourceNotFoundException" });
});
