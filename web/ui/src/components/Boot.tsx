import { useEffect, useState } from 'react';
import { useObserved } from '../lib/observable';
import { createPlayground, type Door, type Playground, PlaygroundContext } from '../playground';
import { explain } from '../server/errors';
import { App } from './App';
import { TokenForm } from './TokenForm';

/** One playground per door, however often React mounts us. */
const begun = new WeakMap<Door, Promise<Playground>>();

function begin(door: Door): Promise<Playground> {
  const running = begun.get(door) ?? createPlayground(door);
  begun.set(door, running);
  return running;
}

function onceRestored(door: Door, restored: () => void): void {
  door.whenRestored = restored;
}

/** The page until the server has answered; then the app, or the question for a token. */
export function Boot({ door }: { door: Door }) {
  const [playground, setPlayground] = useState<Playground | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const tokens = useObserved(door.tokens);
  useEffect(() => {
    begin(door).then(setPlayground, (error: unknown) => {
      begun.delete(door);
      setProblem(explain(error));
    });
  }, [door, problem]);
  useEffect(() => {
    // Without a problem the effect above begins again.
    if (problem !== null)
      onceRestored(door, () => {
        setProblem(null);
      });
  }, [door, problem]);

  if (tokens.state !== 'quiet') return <TokenForm tokens={tokens} />;
  if (playground !== null) {
    return (
      <PlaygroundContext value={playground}>
        <App />
      </PlaygroundContext>
    );
  }
  if (problem === null) return <div className="boot" aria-busy="true" aria-label="Loading" />;
  return (
    <main className="boot">
      <div className="boot-card" role="alert">
        <h1>The server does not answer</h1>
        <p>{problem} The page tries again by itself.</p>
        <button
          type="button"
          className="button primary"
          onClick={() => {
            door.connection.hurry();
            setProblem(null);
          }}
        >
          Try now
        </button>
      </div>
    </main>
  );
}
