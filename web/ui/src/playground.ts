import { createContext, useContext } from 'react';
import { AgentList } from './chat/agentList';
import { Chats } from './chat/chats';
import { SessionList } from './chat/sessionList';
import { local, session } from './lib/storage';
import { Api, type Config } from './server/api';
import { Connection } from './server/connection';
import { StopGate, watchedSocket } from './server/socket';
import { TokenSource } from './server/token';
import { chatTransport } from './server/transport';

/** Close code of a server that will not go on with this client, e.g. because its token ended. */
const POLICY_VIOLATION = 1008;
/** Close code of a socket that nobody misses. */
const NORMAL_CLOSURE = 1000;

/** The parts of the page that live outside React, wired together. */
export interface Playground {
  api: Api;
  config: Config;
  agents: AgentList;
  tokens: TokenSource;
  connection: Connection;
  sessions: SessionList;
  chats: Chats;
}

export interface Door {
  api: Api;
  tokens: TokenSource;
  connection: Connection;
  /** What to do when the server is back; set once there is something to do. */
  whenRestored: () => void;
}

/** The way to the server; needs no answer from it yet. `base` is the page's own address. */
export function createDoor(base: URL): Door {
  const tokens = new TokenSource(() => door.api.mint(), session);
  const door: Door = {
    api: new Api(base, tokens, () => {
      door.connection.lost();
    }),
    tokens,
    connection: new Connection(
      () => door.api.config(),
      () => {
        door.whenRestored();
      },
    ),
    whenRestored: () => undefined,
  };
  return door;
}

/** Asks the server who it is and builds the page's parts on the answer. */
export async function createPlayground(door: Door): Promise<Playground> {
  const { api, tokens, connection } = door;
  const config = await api.config();
  tokens.required = config.auth === 'token';
  const agents = new AgentList(api, local, config.default_agent);
  await agents.refresh();
  const gate = new StopGate();
  let lastToken: string | null = null;
  const heard = (): void => {
    connection.heard();
  };
  const closed = (code: number): void => {
    if (code === POLICY_VIOLATION && lastToken !== null) tokens.refuse(lastToken);
    if (code !== NORMAL_CLOSURE) connection.lost();
  };
  const transport = chatTransport({
    url: new URL(config.ws, api.base),
    webSocket: watchedSocket({ heard, closed }, gate),
    token: async () => (lastToken = await tokens.get()),
    agentOf: (chatId) => chats.agentOf(chatId),
  });
  const chats = new Chats({
    api,
    transport,
    allowAbort: (chatId) => {
      gate.open(chatId);
    },
    preferredAgent: () => agents.preferred(),
    lookForAgents: agents.look,
  });
  const sessions = new SessionList(api);
  door.whenRestored = () => {
    chats.reconnect();
    void agents.look();
    void sessions.refresh();
  };
  return { api, config, agents, tokens, connection, sessions, chats };
}

export const PlaygroundContext = createContext<Playground | null>(null);

export function usePlayground(): Playground {
  const playground = useContext(PlaygroundContext);
  if (playground === null) throw new Error('PlaygroundContext is missing above this component');
  return playground;
}
