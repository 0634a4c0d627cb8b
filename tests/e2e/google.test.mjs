// Google's Gen AI SDK for Node.js, to models of every vendor.
import assert from "node:assert/strict";
import test from "node:test";
import { ApiError, FunctionCallingConfigMode, GoogleGenAI, Type } from "@google/genai";
import { argumentNames, forcing, key, question, results, url, vendors } from "./vendors.mjs";

const connect = (apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url } });
const client = connect(key);
const schema = {
  type: Type.OBJECT,
  properties: { port: { type: Type.STRING }, metres: { type: Type.BOOLEAN } },
  required: ["port", "metres"],
};
const tools = [{ functionDeclarations: [{ name: "get_tide", description: "Tide height", parameters: schema }] }];
const forced = (mode) => ({ tools, toolConfig: { functionCallingConfig: { mode } } });

for (const model of vendors) {
  test(`google > ${model}: a stream is the plain answer`, async () => {
    const plain = await client.models.generateContent({ model, contents: question });
    assert.match(plain.text, /^\[simulated\]/);
    let text = "";
    const reasons = [];
    for await (const chunk of await client.models.generateContentStream({ model, contents: question })) {
      text += chunk.text ?? "";
      reasons.push(...(chunk.candidates ?? []).map((c) => c.finishReason).filter(Boolean));
    }
    assert.equal(text, plain.text);
    assert.deepEqual(reasons, ["STOP"]);
  });

  test(`google > ${model}: agent of two rounds in a chat`, { skip: !forcing.includes(model) }, async () => {
    const chat = client.chats.create({ model, config: forced(FunctionCallingConfigMode.ANY) });
    let message = question;
    for (const output of results) {
      const [call] = (await chat.sendMessage({ message })).functionCalls;
      assert.deepEqual(Object.keys(call.args).sort(), argumentNames);
      message = [{ functionResponse: { id: call.id, name: call.name, response: { output } } }];
    }
    const final = await chat.sendMessage({ message, config: forced(FunctionCallingConfigMode.NONE) });
    assert.ok(final.text.includes(results.at(-1)));
    assert.equal(final.functionCalls, undefined);
  });

  test(`google > ${model}: structured output`, async () => {
    const config = { responseMimeType: "application/json", responseSchema: schema };
    const answer = await client.models.generateContent({ model, contents: question, config });
    assert.deepEqual(Object.keys(JSON.parse(answer.text)).sort(), argumentNames);
  });

  test(`google > ${model}: errors have their status`, async () => {
    const ask = (fault) => client.models.generateContent({ model: `${model}-${fault}`, contents: question });
    await assert.rejects(ask("refused"), (e) => e instanceof ApiError && e.status === 400);
    await assert.rejects(ask("limited"), (e) => e instanceof ApiError && e.status === 429);
    await assert.rejects(ask("failing"), (e) => e instanceof ApiError && e.status >= 500);
  });

  test(`google > ${model}: a stream that breaks is an error`, async () => {
    const stream = await client.models.generateContentStream({ model: `${model}-broken`, contents: question });
    await assert.rejects(async () => {
      for await (const chunk of stream) assert.ok(!chunk.candidates?.[0]?.finishReason);
    });
  });
}

test("google: key, model, models, tokens, embeddings", async () => {
  const contents = question;
  await assert.rejects(connect("wrong").models.generateContent({ model: "openai", contents }), (e) => [400, 401].includes(e.status));
  await assert.rejects(client.models.generateContent({ model: "nope", contents }), (e) => e.status === 404);
  const names = [];
  for await (const model of await client.models.list({ config: { pageSize: 2 } })) names.push(model.name);
  vendors.forEach((vendor) => assert.ok(names.includes(`models/${vendor}`), vendor));
  assert.ok((await client.models.countTokens({ model: "openai", contents })).totalTokens > 0);
  for (const model of ["openai", "gemini"]) {
    const { embeddings } = await client.models.embedContent({ model, contents: ["a", "b"] });
    assert.equal(embeddings.length, 2);
    assert.notDeepEqual(embeddings[0].values, embeddings[1].values);
  }
});
