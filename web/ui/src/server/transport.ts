import type { UIMessage, WebSocketChatTransportInitOptions } from 'ai';
import { WebSocketChatTransport } from 'ai';

export interface TransportInit {
  url: URL;
  webSocket: typeof WebSocket;
  /** Asked for each new socket, so that a long visit never connects with an old token. */
  token: () => Promise<string | null>;
  agentOf: (chatId: string) => string | null;
}

/** The stock transport, one socket for all chats, told to send only what the server does not know. */
export function chatTransport(init: TransportInit): WebSocketChatTransport<UIMessage> {
  const withAgent = (chatId: string, body: object): object => {
    const agent = init.agentOf(chatId);
    return agent === null ? body : { ...body, agent };
  };
  return new WebSocketChatTransport<UIMessage>({
    url: init.url.href,
    // The same class; the SDK's own type for it differs from TypeScript's in the buffers of `send`.
    webSocket: init.webSocket as WebSocketChatTransportInitOptions<UIMessage>['webSocket'],
    params: async (): Promise<Record<string, string>> => {
      const token = await init.token();
      return token === null ? {} : { token };
    },
    prepareSendMessagesRequest: ({ id, messages, messageId, body }) => ({
      messages: newest(messages, messageId),
      body: withAgent(id, body),
    }),
    prepareReconnectToStreamRequest: ({ id, body }) => ({ body: withAgent(id, body) }),
  });
}

/** The one message a request is about: the one it names, else the last. The server has the rest. */
export function newest(messages: UIMessage[], messageId?: string): UIMessage[] {
  const named = messages.find((message) => message.id === messageId);
  return named ? [named] : messages.slice(-1);
}
