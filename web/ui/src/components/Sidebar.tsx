import { PanelLeftClose, SquarePen } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { type ListEntry, listEntries } from '../chat/sessionList';
import { useObserved } from '../lib/observable';
import { chatHref, navigate } from '../lib/route';
import { dayGroup, relativeTime, useNow } from '../lib/time';
import { usePlayground } from '../playground';
import { ThemeToggle } from './ThemeToggle';

interface Props {
  current: string;
  shown: boolean;
  phone: boolean;
  hide: () => void;
}

/** The past chats, newest first; a drawer on a phone. */
export function Sidebar({ current, shown, phone, hide }: Props) {
  const { config, chats, sessions } = usePlayground();
  const now = useNow();
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    if (phone && shown) panel.current?.querySelector('button')?.focus();
  }, [phone, shown]);
  const entries = listEntries(useObserved(sessions).sessions, useObserved(chats).all());

  return (
    <aside ref={panel} className="side" inert={!shown} aria-label="Chats">
      <div className="side-top">
        <button type="button" className="icon-button" aria-label="Hide the side list" onClick={hide}>
          <PanelLeftClose aria-hidden />
        </button>
        <span className="brand">{config.title}</span>
      </div>
      <button
        type="button"
        className="button new-chat"
        data-testid="new-chat"
        onClick={() => {
          navigate(null);
          if (phone) hide();
        }}
      >
        <SquarePen aria-hidden /> New chat
      </button>
      <nav className="chat-list" aria-label="Past chats">
        {groups(entries, now).map(([day, inDay]) => (
          <section key={day} aria-label={day}>
            <h2>{day}</h2>
            <ul>
              {inDay.map((entry) => (
                <li key={entry.chatId}>
                  <ChatLink
                    entry={entry}
                    now={now}
                    current={entry.chatId === current}
                    onClick={phone ? hide : undefined}
                  />
                </li>
              ))}
            </ul>
          </section>
        ))}
        <ListEnd empty={entries.length === 0} />
      </nav>
      <div className="side-end">
        <ThemeToggle />
        <span className="version">v{config.version}</span>
      </div>
    </aside>
  );
}

interface LinkProps {
  entry: ListEntry;
  now: Date;
  current: boolean;
  onClick: (() => void) | undefined;
}

function ChatLink({ entry, now, current, onClick }: LinkProps) {
  const { chatId, title, agent, running, waiting, updatedAt } = entry;
  return (
    <a
      href={chatHref(chatId)}
      className="chat-link"
      aria-current={current ? 'page' : undefined}
      data-testid="chat-list-item"
      data-chat={chatId}
      data-running={running}
      data-waiting={waiting}
      onClick={onClick}
    >
      <span className="chat-link-title">{title}</span>
      <span className="chat-link-meta">
        {running && (
          <span className="running">
            <span className="sr-only">answering</span>
          </span>
        )}
        {waiting && (
          <span className="needs-you" title="Waits for you">
            <span className="sr-only">waits for you</span>
          </span>
        )}
        <span className="chat-link-agent">{agent}</span>
        <time dateTime={updatedAt.toISOString()} title={updatedAt.toLocaleString()}>
          {relativeTime(updatedAt, now)}
        </time>
      </span>
    </a>
  );
}

function ListEnd({ empty }: { empty: boolean }) {
  const { sessions } = usePlayground();
  if (sessions.state === 'loading') return <p className="list-note">Loading…</p>;
  if (sessions.state === 'failed') {
    return (
      <p className="list-note">
        The list could not be read.{' '}
        <button type="button" className="link-button" onClick={() => void sessions.refresh()}>
          Try again
        </button>
      </p>
    );
  }
  if (empty) return <p className="list-note">Your chats will be listed here.</p>;
  if (sessions.next === null) return null;
  return (
    <button type="button" className="button quiet" onClick={() => void sessions.more()}>
      Older chats
    </button>
  );
}

function groups(entries: ListEntry[], now: Date): [string, ListEntry[]][] {
  const days = new Map<string, ListEntry[]>();
  for (const entry of entries) {
    const day = dayGroup(entry.updatedAt, now);
    days.set(day, [...(days.get(day) ?? []), entry]);
  }
  return [...days];
}
