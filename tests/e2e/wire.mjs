// The wire under a chat: counts the chunks that pass and cuts the connection after so many of them.
//
// `wire` is {chunks, cutAfter, tell, end, lose}: what came, when to cut, whom to tell, how to end what is open now, and
// how to lose it as a network does.
import { WebSocket } from 'ws';

/** A browser's words for a body that broke off; Node's `fetch` says "terminated", which no client takes for a loss. */
const networkError = () => new TypeError('network error');

/** Take one chunk into account; true when the connection is to be cut after it. */
function pass(wire, chunk) {
  wire.chunks += 1;
  wire.tell('chunk', { n: wire.chunks, chunk });
  if (wire.chunks < wire.cutAfter) return false;
  wire.cutAfter = Infinity;
  wire.tell('cut', { n: wire.chunks });
  return true;
}

/** A `fetch` whose bodies are counted event by event. */
export function countingFetch(wire) {
  return async (url, init) => {
    const response = await fetch(url, init);
    if (!response.ok || response.body === null) return response;
    return new Response(countEvents(response.body, wire, init.signal), response);
  };
}

function countEvents(body, wire, signal) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let rest = '';
  let cut = false;
  wire.end = () => reader.cancel().catch(() => {});
  wire.lose = () => {
    cut = true;
    reader.cancel().catch(() => {});
  };

  /** Hand on whole events; true when there was one. */
  function handOn(text, controller) {
    const events = (rest + text).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      controller.enqueue(encoder.encode(`${event}\n\n`));
      const chunk = readEvent(event);
      cut = chunk !== null && pass(wire, chunk);
      if (cut) break;
    }
    return events.length > 0;
  }

  return new ReadableStream({
    async pull(controller) {
      // The error comes with the pull after the cut, that is when all before it was read.
      if (cut) throw networkError();
      for (;;) {
        const { done, value } = await reader.read().catch(error => {
          throw signal?.aborted ? error : networkError();
        });
        if (cut) throw networkError();
        if (done) {
          controller.close();
          return;
        }
        if (handOn(decoder.decode(value, { stream: true }), controller)) break;
      }
      if (cut) await reader.cancel();
    },
    cancel: reason => reader.cancel(reason),
  });
}

/** The chunk of an event; null for comments and the end mark. */
function readEvent(event) {
  const data = event.split('\n').filter(line => line.startsWith('data: ')).map(line => line.slice(6)).join('\n');
  return data === '' || data === '[DONE]' ? null : JSON.parse(data);
}

/** A `WebSocket` that counts chunk frames; after a cut nothing more is heard of it. */
export class CountingSocket extends WebSocket {
  #wire;
  #cut = false;

  watch(wire) {
    this.#wire = wire;
    wire.end = () => this.terminate();
    wire.lose = () => {
      this.#cut = true;
      this.terminate();
    };
  }

  emit(name, ...args) {
    if (name !== 'message') return super.emit(name, ...args);
    if (this.#cut) return false;
    const heard = super.emit(name, ...args);
    const frame = JSON.parse(args[0].toString());
    if (frame.type === 'chunk' && pass(this.#wire, frame.chunk)) {
      this.#cut = true;
      this.terminate();
    }
    return heard;
  }
}
