// An app's own server, as small as one can be: pages, and the server actions of the guide.
//
// argv[2]: {folder, port}. `GET /<page>/<chat id>` shows the chat in a page of `<page>.js`, with the messages of the server;
// `POST /action/<generation>/<name>` runs a server action.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const { folder, port } = JSON.parse(process.argv[2]);
/** Those of the generation that a page is of. */
const actionsOf = generation => import(`${folder}/actions-${generation}.mjs`);

async function readBody(request) {
  let text = '';
  for await (const part of request) text += part;
  return text;
}

async function answer(request) {
  const [, first, second, third] = new URL(request.url, 'http://page').pathname.split('/').map(decodeURIComponent);
  if (first.endsWith('.js')) return ['text/javascript', readFileSync(`${folder}/${first}`)];
  if (first === 'action') {
    return ['application/json', JSON.stringify(await (await actionsOf(second))[third](...JSON.parse(await readBody(request))))];
  }
  if (second === undefined) return ['text/plain', ''];
  const actions = await actionsOf(/\d/.exec(first)[0]);
  const { publicAccessToken } = await actions.startChat(second);
  const { messages, status } = await actions.readChat(second);
  const session = { publicAccessToken, isStreaming: status !== 'idle' };
  const given = JSON.stringify({ id: second, initial: messages, session }).replaceAll('<', '\\u003c');
  return [
    'text/html; charset=utf-8',
    `<!doctype html><title>chat</title><div id="root"></div><script>window.given = ${given}</script>
     <script type="module" src="/${first}.js"></script>`,
  ];
}

createServer(async (request, response) => {
  try {
    const [type, body] = await answer(request);
    response.writeHead(200, { 'content-type': type });
    response.end(body);
  } catch (error) {
    response.writeHead(500);
    response.end(String(error.stack));
  }
}).listen(port, '127.0.0.1');
