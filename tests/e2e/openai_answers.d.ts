// What OpenAI's API answers, in the types of its SDK, which are generated from OpenAI's description of the API. openai_schema.mjs makes a
// JSON Schema of each member of `Answers`. Said here is only what the SDK's types do not say of what is on the wire.
import type { ChatCompletion, ChatCompletionChunk } from "openai-published/resources/chat/completions";
import type { Completion, CompletionChoice } from "openai-published/resources/completions";
import type { CreateEmbeddingResponse, Embedding } from "openai-published/resources/embeddings";
import type { Model } from "openai-published/resources/models";
import type { ResponseItemList } from "openai-published/resources/responses/input-items";
import type { InputTokenCountResponse } from "openai-published/resources/responses/input-tokens";
import type { Response, ResponseStreamEvent } from "openai-published/resources/responses/responses";
import type { ErrorObject } from "openai-published/resources/shared";

// In a stream nothing has finished until it has, and usage that was asked for is null until the end; the types have one class for both.
type CompletionChunkChoice = Omit<CompletionChoice, "finish_reason"> & { finish_reason: CompletionChoice["finish_reason"] | null };
// With `encoding_format: base64` the numbers are text; the SDK decodes them.
type CodedEmbedding = Omit<Embedding, "embedding"> & { embedding: string };

export interface Answers {
  chat: ChatCompletion;
  chunk: ChatCompletionChunk;
  completion: Completion;
  completionChunk: Omit<Completion, "choices" | "usage"> & { choices: CompletionChunkChoice[]; usage?: Completion["usage"] | null };
  embeddings: CreateEmbeddingResponse;
  codedEmbeddings: Omit<CreateEmbeddingResponse, "data"> & { data: CodedEmbedding[] };
  model: Model;
  models: { object: "list"; data: Model[] };
  error: { error: ErrorObject };
  response: Response;
  event: ResponseStreamEvent;
  items: ResponseItemList;
  tokens: InputTokenCountResponse;
}
