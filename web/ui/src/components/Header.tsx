import { ChevronDown, PanelLeftOpen, SquarePen } from 'lucide-react';
import type { OpenChat } from '../chat/openChat';
import { useObserved } from '../lib/observable';
import { navigate } from '../lib/route';
import { usePlayground } from '../playground';
import type { ConnectionState } from '../server/connection';

interface Props {
  open: OpenChat;
  title: string;
  sideShown: boolean;
  toggleSide: () => void;
}

export function Header({ open, title, sideShown, toggleSide }: Props) {
  return (
    <header className="header">
      {!sideShown && (
        <>
          <button
            type="button"
            className="icon-button"
            aria-label="Show the side list"
            data-testid="show-side"
            onClick={toggleSide}
          >
            <PanelLeftOpen aria-hidden />
          </button>
          <button
            type="button"
            className="icon-button"
            aria-label="New chat"
            onClick={() => {
              navigate(null);
            }}
          >
            <SquarePen aria-hidden />
          </button>
        </>
      )}
      <h1 className="header-title">{open.begun ? title : 'New chat'}</h1>
      <ConnectionNote />
      <AgentSelect open={open} />
    </header>
  );
}

/** Which agent answers; open to choice until the chat has begun. */
function AgentSelect({ open }: { open: OpenChat }) {
  const agents = useObserved(usePlayground().agents);
  const online = agents.find(open.agent)?.online;
  const unlisted = open.agent !== null && agents.find(open.agent) === undefined;
  if (agents.agents.length === 0 && !unlisted) return null;
  return (
    <label className="agent-select" data-online={online}>
      <span className="sr-only">Agent</span>
      <select
        value={open.agent ?? ''}
        disabled={open.begun}
        data-testid="agent-select"
        title={open.begun ? 'A chat keeps its agent' : 'Choose an agent'}
        onChange={(event) => {
          open.choose(event.target.value);
          agents.prefer(event.target.value);
        }}
      >
        {unlisted && <option value={open.agent}>{open.agent}</option>}
        {agents.agents.map((agent) => (
          <option key={agent.id} value={agent.id}>
            {agent.online ? agent.id : `${agent.id} (offline)`}
          </option>
        ))}
      </select>
      {!open.begun && <ChevronDown aria-hidden />}
    </label>
  );
}

const NOTES: Record<ConnectionState, string> = {
  online: '',
  connecting: 'Reconnecting…',
  offline: 'Offline',
};

/** Says so while the server cannot be reached. */
function ConnectionNote() {
  const { connection } = usePlayground();
  const { state } = useObserved(connection);
  return (
    <span className="connection" role="status" data-testid="connection" data-state={state}>
      {NOTES[state]}
      {state === 'offline' && (
        <button
          type="button"
          className="link-button"
          onClick={() => {
            connection.hurry();
          }}
        >
          Try now
        </button>
      )}
    </span>
  );
}
