import { useEffect } from 'react';
import { type FeedChat, followFeed } from '../server/feed';
import { useObserved } from '../lib/observable';
import { chatIdOf } from '../lib/route';
import type { Playground } from '../playground';

/** Milliseconds between two looks at what only the server can know, while the page is in view. */
const LOOK_MS = 5_000;

/**
 * Keeps the lists fresh: after every answer of this page, whenever the page comes into view, and every few
 * seconds while an agent is awaited to come online. How chats stand is told by the feed.
 */
export function useUpkeep(playground: Playground): void {
  const { agents, chats, sessions } = playground;
  useObserved(agents);
  useObserved(chats);
  useObserved(sessions);
  const busy = chats.all().filter((open) => open.busy);
  const unserved = busy.some((open) => agents.find(open.agent)?.online === false);
  const awaited = unserved || !agents.anyOnline;

  useEffect(() => {
    const leave = new AbortController();
    const heard = (chat: FeedChat): void => {
      sessions.heard(chat);
      void chats.find(chat.id ?? '')?.heard(chat.state === 'running');
    };
    void followFeed(playground.api, heard, leave.signal);
    return () => {
      leave.abort();
    };
  }, [playground, chats, sessions]);

  useEffect(() => {
    void sessions.refresh();
  }, [sessions, busy.length]);

  useEffect(() => {
    if (!awaited) return;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') void agents.look();
    }, LOOK_MS);
    return () => {
      clearInterval(timer);
    };
  }, [agents, awaited]);

  useEffect(() => {
    const onVisible = (): void => {
      if (document.visibilityState !== 'visible') return;
      playground.connection.hurry();
      void sessions.refresh();
      void agents.look();
      void chats.find(chatIdOf(new URL(window.location.href)) ?? '')?.refresh();
    };
    document.addEventListener('visibilitychange', onVisible);
    return () => {
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [agents, chats, playground, sessions]);
}
