// A stand-in for the gateway, to work on the page without one: `npm run mock -- --port 8787`.
// Speaks the page's whole contract from memory. Words in a message choose the answer: see script.mjs.
// `POST /mock/restart` closes every socket as a deploy does; `GET /mock/frames` lists what clients sent.
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { AGENTS, answer, past } from './script.mjs';

const STATIC = fileURLToPath(new URL('../../../chatagent/flask/static/', import.meta.url));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Folds just the chunk types that script.mjs emits. */
export function fold(parts, chunk) {
  const tool = () => parts.findLast((part) => part.toolCallId === chunk.toolCallId);
  const open = (type) => parts.findLast((part) => part.type === type && part.state === 'streaming');
  const [kind, step] = [chunk.type.split('-')[0], chunk.type.split('-').slice(1).join('-')];
  if (chunk.type === 'start-step') parts.push({ type: 'step-start' });
  else if (kind === 'text' || kind === 'reasoning') {
    if (step === 'start')
      parts.push({
        type: kind,
        text: '',
        state: 'streaming',
        ...(kind === 'reasoning' ? { id: chunk.id } : {}),
      });
    else if (step === 'delta') open(kind).text += chunk.delta;
    else open(kind).state = 'done';
  } else if (chunk.type === 'tool-input-available') {
    parts.push({
      type: `tool-${chunk.toolName}`,
      toolCallId: chunk.toolCallId,
      state: 'input-available',
      input: chunk.input,
    });
  } else if (chunk.type === 'tool-output-available')
    Object.assign(tool(), { state: 'output-available', output: chunk.output });
  else if (chunk.type === 'tool-output-error')
    Object.assign(tool(), { state: 'output-error', errorText: chunk.errorText });
  else if (chunk.type === 'tool-output-denied') Object.assign(tool(), { state: 'output-denied' });
  else if (chunk.type === 'tool-approval-request')
    Object.assign(tool(), { state: 'approval-requested', approval: { id: chunk.approvalId } });
  else if (['source-url', 'file'].includes(chunk.type) || kind === 'data') parts.push(chunk);
}

class MockGateway {
  constructor({ tick = 25, auth = 'token', prefix = '' } = {}) {
    Object.assign(this, { tick, auth, prefix, frames: [], sockets: new Set(), sessions: new Map() });
    for (const session of past())
      this.sessions.set(session.externalId, { ...session, log: [], listeners: new Set(), stopped: false });
    this.http = createServer((request, response) => this.serve(request, response));
    const wss = new WebSocketServer({ noServer: true });
    this.http.on('upgrade', (request, socket, head) =>
      wss.handleUpgrade(request, socket, head, (ws) => this.accept(ws)),
    );
  }

  listen(port = 0) {
    return new Promise((resolve) =>
      this.http.listen(port, '127.0.0.1', () => resolve(this.http.address().port)),
    );
  }

  async close() {
    this.restart();
    await new Promise((resolve) => this.http.close(resolve));
  }

  restart() {
    for (const ws of this.sockets) ws.close(1012, 'restarting');
  }

  accept(ws) {
    this.sockets.add(ws);
    ws.on('close', () => this.sockets.delete(ws));
    const requests = new Map();
    ws.on('message', (data) => {
      const frame = JSON.parse(String(data));
      this.frames.push(frame);
      if (frame.type === 'abort') this.stop(requests.get(frame.requestId));
      else {
        requests.set(frame.requestId, frame.id);
        if (frame.type === 'send') this.send(frame, ws);
        else this.resume(frame, ws);
      }
    });
  }

  send(frame, ws) {
    const now = new Date().toISOString();
    const session = this.sessions.get(frame.id) ?? {
      id: `session_${frame.id}`,
      externalId: frame.id,
      taskIdentifier: frame.body.agent,
      title: null,
      createdAt: now,
      messages: [],
    };
    const message = frame.messages.at(-1);
    Object.assign(session, {
      status: 'running',
      updatedAt: now,
      log: [],
      listeners: new Set(),
      stopped: false,
    });
    this.sessions.set(frame.id, session);
    if (frame.trigger === 'regenerate-message' && session.messages.at(-1)?.role === 'assistant')
      session.messages.pop();
    const known = session.messages.findIndex(({ id }) => id === message.id);
    if (known >= 0) session.messages[known] = message;
    else session.messages.push(message);
    session.title ??= message.parts.find((part) => part.type === 'text')?.text.slice(0, 60) ?? null;
    this.follow(session, frame.requestId, ws);
    void this.turn(session, message);
  }

  resume(frame, ws) {
    const session = this.sessions.get(frame.id);
    if (session?.status === 'running') this.follow(session, frame.requestId, ws);
    else ws.send(JSON.stringify({ type: 'no-active', requestId: frame.requestId }));
  }

  follow(session, requestId, ws) {
    let sequence = 0;
    const emit = (chunk) => {
      if (ws.readyState !== 1) return session.listeners.delete(emit);
      ws.send(
        JSON.stringify(
          chunk === null
            ? { type: 'end', requestId }
            : { type: 'chunk', requestId, sequence: sequence++, chunk },
        ),
      );
    };
    ws.send(JSON.stringify({ type: 'start', requestId }));
    session.log.forEach(emit);
    session.listeners.add(emit);
  }

  async turn(session, message) {
    const continued = message.role === 'assistant' ? session.messages.at(-1) : null;
    const reply = {
      id: continued?.id ?? `msg_${Math.random().toString(36).slice(2)}`,
      role: 'assistant',
      parts: structuredClone(continued?.parts ?? []),
    };
    const emit = (chunk) => {
      session.log.push(chunk);
      fold(reply.parts, chunk);
      for (const listener of session.listeners) listener(chunk);
    };
    emit({ type: 'start', messageId: reply.id });
    for (const [chunk, ticks = 1] of answer(message)) {
      await pause(this.tick * ticks);
      if (session.stopped) break;
      emit(chunk);
    }
    for (const part of reply.parts) if (part.state === 'streaming') part.state = 'done';
    if (session.stopped) emit({ type: 'abort' });
    await pause(this.tick); // the commit
    if (continued) session.messages.pop();
    session.messages.push(reply);
    Object.assign(session, { status: 'idle', updatedAt: new Date().toISOString() });
    for (const listener of session.listeners) listener(null);
    session.listeners.clear();
  }

  stop(chatId) {
    const session = this.sessions.get(chatId);
    if (session?.status === 'running') session.stopped = true;
  }

  serve(request, response) {
    const url = new URL(request.url, 'http://mock');
    const path = url.pathname.slice(this.prefix.length);
    const json = (body, status = 200) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const chat = /^\/api\/(?:v1\/sessions|chat)\/([^/]+)\/(history|stop)$/.exec(path);
    const open = ['/api/config', '/api/playground/token', '/mock/restart', '/mock/frames'].includes(path);
    if (path.startsWith('/api/') && !open && request.headers.authorization !== 'Bearer mock')
      return json({ error: 'unauthorized' }, 401);
    if (path === '/api/config')
      return json({
        title: 'chatagent',
        auth: 'token',
        default_agent: 'support',
        version: '0.1.0',
        ws: 'api/chat/ws',
      });
    if (path === '/api/agents') return json({ agents: AGENTS });
    if (path === '/api/playground/token')
      return this.auth === 'mint' || this.auth === 'token'
        ? json({ token: 'mock' })
        : json({ error: 'not on loopback' }, 403);
    if (path === '/mock/restart') return (this.restart(), json({}));
    if (path === '/mock/frames') return json(this.frames);
    if (path === '/api/v1/sessions')
      return json({
        data: [...this.sessions.values()].map((session) => ({
          ...session,
          log: undefined,
          listeners: undefined,
          messages: undefined,
        })),
        pagination: {},
      });
    if (path.endsWith('/queue')) return json({ queue: [] });
    if (chat?.[2] === 'stop') return (this.stop(decodeURIComponent(chat[1])), json({}));
    if (chat) {
      const session = this.sessions.get(decodeURIComponent(chat[1]));
      return session
        ? json({ messages: session.messages, status: session.status, taskIdentifier: session.taskIdentifier })
        : json({ error: 'no such chat' }, 404);
    }
    const file = join(STATIC, normalize(path === '/' ? '/index.html' : path));
    if (!file.startsWith(STATIC) || !existsSync(file) || !statSync(file).isFile())
      return json({ error: 'not found' }, 404);
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
    createReadStream(file).pipe(response);
  }
}

/** Starts a mock gateway; gives it and its port. */
export async function start({ port = 0, ...options } = {}) {
  const gateway = new MockGateway(options);
  return { gateway, port: await gateway.listen(port) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name, otherwise) => {
    const at = process.argv.indexOf(`--${name}`);
    return at < 0 ? otherwise : process.argv[at + 1];
  };
  const { port } = await start({
    port: Number(option('port', 8787)),
    auth: option('auth', 'token'),
    prefix: option('prefix', ''),
  });
  console.log(`mock gateway on http://127.0.0.1:${port}${option('prefix', '')}/`);
}
