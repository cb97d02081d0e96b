import { useEffect } from 'react';
import { isActive } from '../chat/history';
import { useObserved } from '../lib/observable';
import { chatIdOf } from '../lib/route';
import type { Playground } from '../playground';

/** Milliseconds between two looks at what only the server can know, while the page is in view. */
const LOOK_MS = 5_000;

/**
 * Keeps the lists fresh: after every answer of this page, whenever the page comes into view, and every few
 * seconds while something is awaited from elsewhere (an agent to come online, a chat that another tab runs).
 */
export function useUpkeep(playground: Playground): void {
  const { agents, chats, sessions } = playground;
  useObserved(agents);
  useObserved(chats);
  useObserved(sessions);
  const busy = chats.all().filter((open) => open.busy);
  const elsewhere = sessions.sessions.some(
    (session) => isActive(session.status) && chats.find(session.externalId)?.activeAt == null,
  );
  const unserved = busy.some((open) => agents.find(open.agent)?.online === false);
  const awaited = elsewhere || unserved || !agents.anyOnline;

  useEffect(() => {
    void sessions.refresh();
  }, [sessions, busy.length]);

  useEffect(() => {
    if (!awaited) return;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') look(playground);
    }, LOOK_MS);
    return () => {
      clearInterval(timer);
    };
  }, [awaited, playground]);

  useEffect(() => {
    const onVisible = (): void => {
      if (document.visibilityState !== 'visible') return;
      playground.connection.hurry();
      look(playground);
      void chats.find(chatIdOf(new URL(window.location.href)) ?? '')?.refresh();
    };
    document.addEventListener('visibilitychange', onVisible);
    return () => {
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [chats, playground]);
}

function look({ agents, sessions }: Playground): void {
  void sessions.refresh();
  void agents.refresh().catch(() => undefined); // a lost connection is noticed and mended elsewhere
}
