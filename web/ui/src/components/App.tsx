import { useCallback, useEffect, useRef, useState } from 'react';
import type { OpenChat } from '../chat/openChat';
import { titleOf } from '../chat/sessionList';
import { useMedia } from '../lib/media';
import { useObserved } from '../lib/observable';
import { useChatId } from '../lib/route';
import { local } from '../lib/storage';
import { type Playground, usePlayground } from '../playground';
import { ChatPane } from './ChatPane';
import { Header } from './Header';
import { Sidebar } from './Sidebar';
import { useShortcuts } from './useShortcuts';
import { useUpkeep } from './useUpkeep';

/** The page: the side list and the chat that the address names. */
export function App() {
  const playground = usePlayground();
  useUpkeep(playground);
  const open = useOpenChat(playground);
  const phone = useMedia('(max-width: 820px)');
  const side = useSide(phone, open.id);
  const input = useRef<HTMLTextAreaElement>(null);
  const focusInput = useCallback(() => {
    input.current?.focus();
  }, []);
  useShortcuts({
    focusInput,
    stop: () => {
      if (phone && side.shown) side.hide();
      else if (open.busy) void open.stop();
    },
  });
  const title = titleOf(open, playground.sessions.titleOf(open.id));
  useEffect(() => {
    document.title =
      open.chat.messages.length > 0 ? `${title} · ${playground.config.title}` : playground.config.title;
  }, [open, title, playground]);

  return (
    <div className="app" data-side={side.shown ? 'shown' : 'hidden'}>
      <a className="skip" href="#composer" onClick={focusInput}>
        Skip to the message field
      </a>
      <Sidebar current={open.id} shown={side.shown} phone={phone} hide={side.hide} />
      {phone && side.shown && <div className="scrim" aria-hidden onClick={side.hide} />}
      <main className="main" inert={phone && side.shown}>
        <Header open={open} title={title} sideShown={side.shown} toggleSide={side.toggle} />
        <ChatPane key={open.id} open={open} input={input} />
      </main>
    </div>
  );
}

function useOpenChat({ chats, sessions }: Playground): OpenChat {
  useObserved(chats);
  useObserved(sessions);
  const chatId = useChatId();
  return useObserved(chatId === null ? chats.draft() : chats.open(chatId));
}

interface Side {
  shown: boolean;
  hide: () => void;
  toggle: () => void;
}

/** Whether the side list shows: a drawer that closes by itself on a phone, a lasting choice elsewhere. */
function useSide(phone: boolean, chatId: string): Side {
  const [kept, setKept] = useState(() => local.get('side') !== 'hidden');
  const [drawer, setDrawer] = useState<string | null>(null);
  const keep = (shown: boolean): void => {
    setKept(shown);
    local.set('side', shown ? null : 'hidden');
  };
  if (phone) {
    const shown = drawer === chatId;
    return {
      shown,
      hide: () => {
        setDrawer(null);
      },
      toggle: () => {
        setDrawer(shown ? null : chatId);
      },
    };
  }
  return {
    shown: kept,
    hide: () => {
      keep(false);
    },
    toggle: () => {
      keep(!kept);
    },
  };
}
