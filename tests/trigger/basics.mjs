// What a chat needs every day: turns, lost connections, stops, reloads, tokens.
import {
  AgentChat, Chat, accessToken, auth, chatId, ending, gate, given, makeChat, makeFetch, makeTransport, open, requests, rest, secret, sessions,
  startSession, textOf, texts, until, url,
} from './client.mjs';

export const scenarios = {
  async turns() {
    const chat = makeChat();
    await chat.sendMessage({ text: 'one two' });
    await chat.sendMessage({ text: 'three' });
    await chat.regenerate();
    return { messages: chat.messages, errors: chat.errors, status: chat.status };
  },

  async cut() {
    const chat = makeChat({ fetch: makeFetch({ cut: [2, 1, 3] }) });
    await chat.sendMessage({ text: 'a b c d e f' });
    await chat.sendMessage({ text: 'more' });
    return { messages: chat.messages, errors: chat.errors };
  },

  async stop() {
    const transport = makeTransport();
    const chat = new Chat({ transport });
    const sent = chat.sendMessage({ text: `wait ${gate}` });
    await until(() => chat.messages.length === 2 && textOf(chat.messages[1]) === 'before', 'the first word');
    const stopped = await transport.stopGeneration(chatId);
    await sent;
    await rest();
    const idle = await transport.stopGeneration(chatId);
    await chat.sendMessage({ text: 'next' });
    return { sdk: given.sdk, stopped, idle, texts: texts(chat), errors: chat.errors };
  },

  async abort() {
    const chat = makeChat();
    const sent = chat.sendMessage({ text: `wait ${gate}` });
    await until(() => chat.messages.length === 2 && textOf(chat.messages[1]) === 'before', 'the first word');
    await chat.stop();
    await sent;
    await rest();
    await chat.sendMessage({ text: 'next' });
    return { sdk: given.sdk, texts: texts(chat), errors: chat.errors };
  },

  async reload() {
    let kept;
    const first = makeChat({ onSessionChange: (_, session) => (kept = structuredClone(session)) });
    first.sendMessage({ text: `wait ${gate}` });
    await until(() => first.messages.length === 2 && textOf(first.messages[1]) === 'before', 'the first word');
    const saved = kept;
    const transport = makeTransport({ sessions: { [chatId]: saved } });
    const second = new Chat({ transport, messages: first.messages.slice(0, 1) });
    const resumed = second.resumeStream();
    await until(() => second.messages.length === 2, 'the answer in the reloaded page');
    open();
    await resumed;
    return { saved, messages: second.messages, errors: second.errors };
  },

  async settled() {
    const transport = makeTransport();
    const first = new Chat({ transport });
    await first.sendMessage({ text: 'one' });
    const { publicAccessToken, lastEventId } = transport.getSession(chatId);
    requests.length = 0;
    const second = new Chat({
      transport: makeTransport({ sessions: { [chatId]: { publicAccessToken, lastEventId } } }),
      messages: first.messages,
    });
    await second.resumeStream();
    return { texts: texts(second), errors: second.errors, requests };
  },

  async watch() {
    const sent = makeChat();
    const transport = makeTransport({ watch: true, sessions: { [chatId]: { publicAccessToken: await accessToken() } } });
    const reader = (await transport.reconnectToStream({ chatId })).getReader();
    const seen = [];
    for (const text of ['one', 'two']) {
      await sent.sendMessage({ text });
      for (let chunk; chunk?.type !== 'finish'; ) {
        chunk = (await reader.read()).value;
        if (chunk.type === 'text-delta') seen.push(chunk.delta);
      }
    }
    await reader.cancel();
    return { seen };
  },

  async closed() {
    const events = [];
    const transport = makeTransport({ onEvent: event => events.push([event.type, event.source]) });
    const chat = new Chat({ transport });
    await chat.sendMessage({ text: 'one' });
    await sessions.close(chatId, { reason: 'done' });
    await chat.sendMessage({ text: 'two' });
    const appends = requests.filter(([path]) => path === 'in/append').map(([, status]) => status);
    return { sdk: given.sdk, appends, events: events.filter(([type]) => type === 'session-closed'), errors: chat.errors };
  },

  async refresh() {
    let asked = 0;
    await startSession();
    const stale = { [chatId]: { publicAccessToken: 'stale' } };
    const chat = makeChat({ sessions: stale, accessToken: () => (asked++, accessToken()) });
    await chat.sendMessage({ text: 'one' });
    return { asked, texts: texts(chat), errors: chat.errors, requests };
  },

  async recreate() {
    const chat = makeChat({ sessions: { [chatId]: { publicAccessToken: secret, lastEventId: '77' } } });
    await chat.sendMessage({ text: 'one' });
    return { texts: texts(chat), errors: chat.errors, appends: requests.map(([path, status]) => [path, status]) };
  },

  async rollover() {
    const seen = [];
    const transport = makeTransport({ onSessionChange: (_, session) => session && seen.push(session.publicAccessToken) });
    const chat = new Chat({ transport });
    await chat.sendMessage({ text: 'one' });
    await new Promise(resolve => setTimeout(resolve, 1100));
    await chat.sendMessage({ text: 'two' });
    return { tokens: [...new Set(seen)].length, texts: texts(chat), errors: chat.errors };
  },

  async agentChat() {
    const chat = new AgentChat({ agent: 'parrot', id: chatId, baseURL: url });
    const told = [await (await chat.sendMessage('one two')).text(), await (await chat.sendMessage('three')).text()];
    let stopped = '';
    // The stopped stream of the older release never ends, and may take the answer after it along.
    for await (const chunk of given.sdk === '4.5.16' ? [] : await chat.sendMessage(`wait ${gate}`)) {
      if (chunk.type === 'text-delta') stopped += chunk.delta;
      if (stopped === 'before') await chat.stop();
    }
    const again = await (await chat.sendMessage('four')).text();
    const resumed = new AgentChat({ agent: 'parrot', id: chatId, baseURL: url, session: chat.session });
    const later = await (await resumed.sendMessage('five')).text();
    return { sdk: given.sdk, told, stopped, again, later, closed: await chat.close() };
  },

  async sessions() {
    const input = { type: 'chat.agent', taskIdentifier: 'parrot', triggerConfig: { basePayload: { chatId } } };
    const made = await sessions.start({ ...input, externalId: chatId, tags: [`t-${chatId}`], metadata: { a: 1 } });
    const cached = await sessions.start({ ...input, externalId: chatId });
    for (const at of [1, 2]) await sessions.start({ ...input, externalId: `${chatId}-${at}`, tags: [`t-${chatId}`] });
    const listed = [];
    for await (const each of sessions.list({ tag: `t-${chatId}`, limit: 1 })) listed.push(each.externalId);
    const first = await sessions.list({ tag: `t-${chatId}`, limit: 1 });
    const back = await (await first.getNextPage()).getPreviousPage();
    const found = await sessions.retrieve(made.id);
    const updated = await sessions.update(chatId, { tags: ['x'], metadata: null });
    const closed = [await sessions.close(chatId, { reason: 'a' }), await sessions.close(chatId, { reason: 'b' })];
    const open = [];
    for await (const each of sessions.list({ taskIdentifier: 'parrot', status: 'CLOSED', externalId: chatId })) {
      open.push(each.externalId);
    }
    const past = new Date(Date.now() - 1000);
    const expired = await sessions.start({ ...input, externalId: `${chatId}-old`, expiresAt: past, tags: [`old-${chatId}`] });
    const gone = [];
    for await (const each of sessions.list({ tag: `old-${chatId}`, status: 'EXPIRED' })) gone.push(each.externalId);
    for await (const each of sessions.list({ tag: `old-${chatId}`, status: ['ACTIVE', 'CLOSED'] })) gone.push(each.externalId);
    const late = await sessions.open(`${chatId}-old`).in.send({ kind: 'stop' }).catch(error => error.status);
    let asked = 0;
    const { fetch } = globalThis;
    globalThis.fetch = (...request) => (asked++, fetch(...request));
    const again = await sessions.start({ ...input, externalId: chatId }).catch(error => error.status);
    return {
      ...{ cached: [made.isCached, cached.isCached], same: made.id === cached.id, listed, open, again },
      back: back.data.map(each => each.externalId),
      ...{ found: found.externalId, updated: [updated.tags, updated.metadata] },
      ...{ reasons: closed.map(each => each.closedReason), dates: found.createdAt instanceof Date },
      ...{ expired: [expired.expiresAt.getTime() === past.getTime(), expired.closedAt, gone, late] },
      asked,
    };
  },

  async publicToken() {
    await startSession();
    const token = await auth.createPublicToken({ scopes: { read: { sessions: chatId }, write: { sessions: chatId } } });
    const chat = makeChat({ sessions: { [chatId]: { publicAccessToken: token } }, accessToken: undefined });
    await chat.sendMessage({ text: 'one' });
    const reader = await auth.createPublicToken({ scopes: { read: { sessions: chatId } } });
    const headers = { Authorization: `Bearer ${reader}` };
    const answer = await fetch(`${url}/realtime/v1/sessions/${chatId}/in/append`, { method: 'POST', headers, body: '{}' });
    return { texts: texts(chat), errors: chat.errors, reader: answer.status };
  },

  async expiry() {
    await startSession();
    const scopes = { read: { sessions: chatId }, write: { sessions: chatId } };
    const short = await auth.createPublicToken({ scopes, expirationTime: ending() });
    let asked = 0;
    const chat = makeChat({
      sessions: { [chatId]: { publicAccessToken: short } },
      accessToken: () => (asked++, accessToken()),
    });
    const sent = chat.sendMessage({ text: `wait ${gate}` });
    await until(() => asked > 0, 'a new token');
    open();
    await sent;
    return { asked, texts: texts(chat), errors: chat.errors };
  },
};
