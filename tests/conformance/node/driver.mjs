// What the published packages make of streams. Reads jobs, one JSON per line, from the file named first, and answers
// line by line: the tests compare the answers with ours.
import { readFileSync } from 'node:fs';

globalThis.AI_SDK_LOG_WARNINGS = false;
console.warn = console.info = console.error;

const plain = value => (value === undefined ? null : JSON.parse(JSON.stringify(value)));
const why = error => String(error?.message ?? error).split('\n')[0].slice(0, 300);
const counter = prefix => { let n = 0; return () => `${prefix}-${++n}`; };

/** What a browser holds after a response with this body: the stock `Chat` over the stock HTTP transport. */
async function hold({ major, body, messages = [], trigger = 'submit' }) {
  const { DefaultChatTransport } = await import(`ai${major}`);
  const { Chat } = await import(`react${major}`);
  const errors = [];
  const data = [];
  const fetch = async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  const chat = new Chat({
    id: 'chat',
    messages: structuredClone(messages),
    transport: new DefaultChatTransport({ api: 'http://server.invalid/api/chat', fetch }),
    generateId: counter('client'),
    onError: error => errors.push(why(error)),
    onData: part => data.push(plain(part)),
  });
  if (trigger === 'resume') await chat.resumeStream();
  else if (messages.length > 0) await chat.sendMessage();
  else await chat.sendMessage({ text: 'hi' });
  const last = chat.messages.at(-1);
  return { message: last?.role === 'assistant' ? plain(last) : null, count: chat.messages.length, errors, data };
}

/** What a JavaScript server stores. */
async function store({ major, chunks, messages = [] }) {
  const { createUIMessageStream } = await import(`ai${major}`);
  let message = null;
  const stream = createUIMessageStream({
    originalMessages: messages,
    generateId: counter('server'),
    execute: ({ writer }) => { for (const chunk of chunks) writer.write(structuredClone(chunk)); },
    onError: () => 'failed',
    [major === 7 ? 'onEnd' : 'onFinish']: end => { message = plain(end.responseMessage); },
  });
  try {
    for (const reader = stream.getReader(); !(await reader.read()).done;);
  } catch {
    // A chunk that does not fit ends the stream; the message is what it was until then.
  }
  return { message };
}

/** Which of these events a release refuses. */
async function refuse({ release, events }) {
  const { parseJsonEventStream, uiMessageChunkSchema: schema } = await import(release);
  const refused = [];
  for (const [at, event] of events.entries()) {
    const stream = parseJsonEventStream({ stream: new Response(`data: ${event}\n\n`).body, schema });
    const { value } = await stream.getReader().read();
    if (!value?.success) refused.push([at, value ? why(value.error) : 'no event']);
  }
  return { refused };
}

/** Which of these messages a release's servers do not take. */
async function valid({ major, messages }) {
  const { safeValidateUIMessages } = await import(`ai${major}`);
  const refused = [];
  for (const [at, message] of messages.entries()) {
    const { success, error } = await safeValidateUIMessages({ messages: [message] });
    if (!success) refused.push([at, why(error)]);
  }
  return { refused };
}

/** Half-written JSON. */
async function parse({ major, texts }) {
  const { parsePartialJson } = await import(`ai${major}`);
  const parsed = [];
  for (const text of texts) {
    const { state, value } = await parsePartialJson(text);
    parsed.push(state === 'failed-parse' ? { state } : { state, value });
  }
  return { parsed };
}

const jobs = { hold, store, refuse, valid, parse };
for (const line of readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean)) {
  const { job, ...given } = JSON.parse(line);
  process.stdout.write(JSON.stringify(await jobs[job](given)) + '\n');
}
