// What the client puts on the wire and keeps: watched by a `fetch` that takes notes.
import { Chat, accessToken, chatId, gate, makeChat, makeTransport, open, secret, startSession, textOf, texts, until, url } from './client.mjs';

/** `fetch` that notes method, path, headers and body of each request. */
function noting() {
  const seen = [];
  const noted = async (input, init = {}) => {
    const at = new URL(input);
    const note = { path: at.pathname.replace(/.*\/(in\/append|out)$/, '$1'), host: at.host, headers: Object.fromEntries(new Headers(init.headers)) };
    if (typeof init.body === 'string') note.body = JSON.parse(init.body);
    seen.push(note);
    const response = await fetch(input, init);
    note.status = response.status;
    return response;
  };
  return [noted, seen];
}

const appends = seen => seen.filter(each => each.path === 'in/append');

export const scenarios = {
  async shape() {
    const [noted, seen] = noting();
    const chat = makeChat({ fetch: noted });
    for (const text of ['one', 'two', 'three']) await chat.sendMessage({ text });
    await chat.regenerate();
    const payloads = appends(seen).map(each => each.body.payload);
    return {
      order: seen.map(each => each.path),
      kinds: appends(seen).map(each => [each.body.kind, each.body.payload.trigger]),
      lists: payloads.filter(each => 'messages' in each).length,
      roles: payloads.map(each => each.message?.role ?? null),
      peeks: seen.filter(each => 'x-peek-settled' in each.headers).length,
      texts: texts(chat),
    };
  },

  async data() {
    const [noted, seen] = noting();
    const chat = makeChat({ fetch: noted, clientData: { a: 1, b: 1 }, headers: { 'X-Part-Id': 'mine', 'X-AI-SDK': '7' } });
    await chat.sendMessage({ text: 'client data' }, { metadata: { b: 2 }, body: { extra: true } });
    await chat.sendMessage({ text: 'again' });
    const parts = appends(seen).map(each => each.headers['x-part-id']);
    return { metadata: appends(seen)[0].body.payload.metadata, own: parts.includes('mine'), parts: new Set(parts).size, texts: texts(chat) };
  },

  async hosts() {
    const [noted, seen] = noting();
    const other = url.replace('127.0.0.1', 'localhost');
    const chat = makeChat({ fetch: noted, baseURL: ({ endpoint }) => (endpoint === 'out' ? other : url) });
    await chat.sendMessage({ text: 'one' });
    const hostOf = path => seen.find(each => each.path === path).host.split(':')[0];
    return { hosts: [hostOf('in/append'), hostOf('out')], texts: texts(chat) };
  },

  async starts() {
    let started = 0;
    const transport = makeTransport({ startSession: () => (started++, startSession()) });
    await Promise.all([transport.start(chatId), transport.start(chatId)]);
    return { started };
  },

  async openRefresh() {
    const token = await accessToken();
    const [noted, seen] = noting();
    let asked = 0;
    const transport = makeTransport({
      fetch: noted, sessions: { [chatId]: { publicAccessToken: 'stale', isStreaming: true } }, accessToken: () => (asked++, token),
    });
    const stream = await transport.reconnectToStream({ chatId });
    const reader = stream.getReader();
    const sender = makeChat();
    await sender.sendMessage({ text: 'one' });
    let told = '';
    for (let next; !(next = await reader.read()).done && told !== 'one'; ) if (next.value.type === 'text-delta') told += next.value.delta;
    return { asked, told, statuses: seen.filter(each => each.path === 'out').map(each => each.status).slice(0, 2) };
  },

  async secondStop() {
    const transport = makeTransport();
    const chat = new Chat({ transport });
    const sent = chat.sendMessage({ text: `wait ${gate}` });
    await until(() => chat.messages.length === 2 && textOf(chat.messages[1]) === 'before', 'the first word');
    const post = () =>
      fetch(`${url}/realtime/v1/sessions/${encodeURIComponent(chatId)}/in/append`, {
        method: 'POST', headers: { Authorization: `Bearer ${secret}` }, body: JSON.stringify({ kind: 'stop' }),
      });
    await Promise.all([post(), post()]);
    await sent;
    await post();
    await chat.sendMessage({ text: 'next' });
    return { texts: texts(chat).slice(1), errors: chat.errors };
  },

  async leave() {
    const sender = makeChat();
    const sent = sender.sendMessage({ text: `wait ${gate}` });
    await until(() => sender.messages.length === 2 && textOf(sender.messages[1]) === 'before', 'the first word');
    const [noted, seen] = noting();
    const transport = makeTransport({ fetch: noted, sessions: { [chatId]: { publicAccessToken: await accessToken(), isStreaming: true } } });
    const leaving = new AbortController();
    const stream = await transport.reconnectToStream({ chatId, abortSignal: leaving.signal });
    const reader = stream.getReader();
    await reader.read();
    leaving.abort();
    await reader.read().catch(() => {});
    open();
    await sent;
    return { posted: appends(seen).length, text: textOf(sender.messages[1]) };
  },

  async keptStop() {
    const kept = [];
    const transport = makeTransport({ onSessionChange: (_, session) => kept.push(structuredClone(session)) });
    const chat = new Chat({ transport });
    const sent = chat.sendMessage({ text: `wait ${gate}` });
    await until(() => chat.messages.length === 2 && textOf(chat.messages[1]) === 'before', 'the first word');
    const before = kept.at(-1).isStreaming;
    await transport.stopGeneration(chatId);
    await sent;
    return { before, after: kept.at(-1).isStreaming };
  },
};
