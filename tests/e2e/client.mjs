// Stock AI SDK chats without a page, driven over stdin and stdout: one JSON object per line each way.
//
// in:   {n, do, chat, …}     `do` is a key of `commands` below; `n` comes back with the answer
// out:  {re: n, ok: value} | {re: n, failed: text}                         the answer to a command
//       {chat, event: "status" | "chunk" | "data" | "error" | "finish" | "settled" | "cut", …}
//
// Chats and transports are those of the packages, unmodified. What is ours is around them: the state that a page would
// keep, a `fetch` and a `WebSocket` that count what passes and can cut the connection as a network does.
import { createInterface } from 'node:readline';
import { countingFetch, CountingSocket } from './wire.mjs';

const sdks = { 5: await import('ai5'), 6: await import('ai6'), 7: await import('ai7') };
const chats = new Map();

const write = line => process.stdout.write(`${JSON.stringify(line)}\n`);

/** What `useChat` keeps for a page: a replaced message is a copy, so that the stream's own state stays apart. */
class PageState {
  #tell;
  #status = 'ready';
  error = undefined;

  constructor(messages, tell) {
    this.messages = messages;
    this.#tell = tell;
  }

  get status() {
    return this.#status;
  }

  set status(status) {
    this.#status = status;
    this.#tell('status', { status });
  }

  pushMessage = message => {
    this.messages = [...this.messages, this.snapshot(message)];
  };

  popMessage = () => {
    this.messages = this.messages.slice(0, -1);
  };

  replaceMessage = (at, message) => {
    this.messages = this.messages.map((kept, index) => (index === at ? this.snapshot(message) : kept));
  };

  snapshot = value => structuredClone(value);
}

/** The transport of a client: `http5`, `http6`, `http7` or `ws7`. */
function makeTransport({ client, url, headers, body, token }, wire) {
  const sdk = sdks[client.at(-1)];
  if (client.startsWith('http')) {
    return new sdk.DefaultChatTransport({ api: url, headers, body, fetch: countingFetch(wire) });
  }
  const webSocket = class extends CountingSocket {
    constructor(address, protocols) {
      super(address, protocols);
      this.watch(wire);
    }
  };
  return new sdk.WebSocketChatTransport({ url: `${url}/ws`, params: token ? { token } : {}, headers, body, webSocket });
}

/** When a page sends by itself: the last answer waits for nothing but the server. */
const complete = sdk => state =>
  sdk.lastAssistantMessageIsCompleteWithToolCalls(state) ||
  (sdk.lastAssistantMessageIsCompleteWithApprovalResponses?.(state) ?? false);

function open({ chat: name, id, auto, messages = [], ...how }) {
  const tell = (event, more) => write({ chat: name, event, ...more });
  const wire = { chunks: 0, cutAfter: Infinity, tell };
  const transport = makeTransport(how, wire);
  const sdk = sdks[how.client.at(-1)];
  class Chat extends sdk.AbstractChat {}
  const chat = new Chat({
    id,
    transport,
    state: new PageState(messages, tell),
    ...(auto ? { sendAutomaticallyWhen: complete(sdk) } : {}),
    onData: part => tell('data', { part }),
    onError: error => tell('error', { name: error.name, message: error.message }),
    onFinish: ({ isAbort, isDisconnect, isError, message }) =>
      tell('finish', { isAbort, isDisconnect, isError, messageId: message.id }),
  });
  chats.set(name, { chat, transport, wire, tell, generation: how.client.at(-1) });
}

/** Start what takes as long as an answer; its end is told as `settled`. */
function begin({ tell }, work) {
  work.then(
    () => tell('settled', {}),
    error => tell('settled', { failed: `${error.name}: ${error.message}` }),
  );
}

/** How a page of ai 5, which knows no approvals, gives one: the answer is written into the call, the message sent on. */
function approveByHand({ chat }, { id, approved, reason }) {
  const asked = chat.messages.at(-1).parts.find(part => part.type === 'data-tool-approval-request' && part.id === id);
  const approval = { id, approved, ...(reason ? { reason } : {}) };
  const answer = part =>
    part.toolCallId === asked.data.toolCallId ? { ...part, state: 'approval-responded', approval } : part;
  chat.messages = chat.messages.map(message => ({ ...message, parts: message.parts.map(answer) }));
  return chat.sendMessage();
}

/** Send the newest message of the user again, as a network stack or a page that lost the answer does; gives the chunks. */
async function sendAgain({ chat, transport }) {
  const messages = chat.messages.slice(0, chat.messages.findLastIndex(message => message.role === 'user') + 1);
  const how = { trigger: 'submit-message', chatId: chat.id, messageId: undefined, messages };
  const chunks = [];
  for await (const chunk of await transport.sendMessages(how)) chunks.push(chunk);
  return chunks;
}

const commands = {
  open: (_, command) => open(command),
  send: (it, { text, parts, messageId, metadata }) =>
    begin(
      it,
      it.chat.sendMessage({
        ...(parts ? { parts } : { text }),
        ...(messageId ? { messageId } : {}),
        ...(metadata ? { metadata } : {}),
      }),
    ),
  regenerate: (it, { messageId }) => begin(it, it.chat.regenerate(messageId ? { messageId } : {})),
  resume: it => begin(it, it.chat.resumeStream()),
  /** What `useChat` does when a page that lost its connection becomes visible. */
  revive: it => begin(it, it.chat['~resumeStreamIfDisconnected']()),
  toolOutput: (it, { tool, toolCallId, output }) => begin(it, it.chat.addToolOutput({ tool, toolCallId, output })),
  approve: (it, { id, approved, reason }) =>
    begin(
      it,
      it.generation === '5'
        ? approveByHand(it, { id, approved, reason })
        : it.chat.addToolApprovalResponse({ id, approved, ...(reason ? { reason } : {}) }),
    ),
  sendAgain: it => sendAgain(it),
  /** Send what was answered on the page. */
  sendOn: it => begin(it, it.chat.sendMessage()),
  /** `setMessages` of `useChat`. */
  hold: ({ chat }, { messages }) => {
    chat.messages = messages;
  },
  stop: it => it.chat.stop(),
  /** Lose the connection when `after` more chunks have come. */
  drop: ({ wire }, { after }) => {
    wire.cutAfter = wire.chunks + after;
  },
  /** Lose the connection now. */
  lose: ({ wire }) => wire.lose(),
  messages: ({ chat }) => chat.messages,
  /** Go away as a closed tab does: the connection ends, nothing is asked of the server. */
  close: ({ wire, transport }, { chat: name }) => {
    wire.end?.();
    transport.close?.();
    chats.delete(name);
  },
};

async function obey(command) {
  const it = chats.get(command.chat);
  if (command.do !== 'open' && it === undefined) throw new Error(`no chat ${command.chat}`);
  return (await commands[command.do](it, command)) ?? null;
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  obey(command).then(
    ok => write({ re: command.n, ok }),
    error => write({ re: command.n, failed: error.stack ?? String(error) }),
  );
}
process.exit(0);
