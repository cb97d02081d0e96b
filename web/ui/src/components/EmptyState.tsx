import { ArrowUpRight } from 'lucide-react';
import type { OpenChat } from '../chat/openChat';
import { useObserved } from '../lib/observable';
import { usePlayground } from '../playground';

/** What a new chat shows: who answers, and what one could ask. */
export function EmptyState({ open, ask }: { open: Pick<OpenChat, 'agent'>; ask: (text: string) => void }) {
  const agents = useObserved(usePlayground().agents);
  const agent = agents.find(open.agent);
  if (agents.agents.length === 0) {
    return (
      <section className="empty">
        <h2>No agent is being served</h2>
        <p>
          Start a worker with <code>chatagent worker</code>. Its agents appear here by themselves.
        </p>
      </section>
    );
  }
  const examples = agent?.examples ?? [];
  return (
    <section className="empty">
      <h2>{agent?.id ?? 'New chat'}</h2>
      {agent?.description && <p>{agent.description}</p>}
      {agent?.model && <p className="empty-model">default model: {agent.model}</p>}
      {agent?.online === false && (
        <p className="empty-offline" role="status">
          No worker serves this agent right now. A message waits until one does.
        </p>
      )}
      {examples.length > 0 && (
        <ul className="examples">
          {examples.map((example) => (
            <li key={example}>
              <button
                type="button"
                data-testid="example"
                onClick={() => {
                  ask(example);
                }}
              >
                {example} <ArrowUpRight aria-hidden />
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
