import { type RefObject, useCallback, useEffect, useRef, useState } from 'react';

/** Pixels from the end within which a reader counts as being at the end. */
const NEAR_PX = 48;

interface Sticky {
  scroller: RefObject<HTMLDivElement | null>;
  content: RefObject<HTMLDivElement | null>;
  /** The reader scrolled up. */
  away: boolean;
  jump: () => void;
}

/** Keeps the end of growing content in view, unless the reader scrolled up. */
export function useStickToBottom(): Sticky {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const sticking = useRef(true);
  const [away, setAway] = useState(false);

  const jump = useCallback(() => {
    sticking.current = true;
    setAway(false);
    const element = scroller.current;
    if (element !== null) element.scrollTop = element.scrollHeight;
  }, []);

  useEffect(() => {
    const element = scroller.current;
    const inner = content.current;
    if (element === null || inner === null) return;
    let top = element.scrollTop;
    const onScroll = (): void => {
      const near = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
      // Growth also leaves the end behind; only a move upwards is the reader's.
      if (near) sticking.current = true;
      else if (element.scrollTop < top - 1) sticking.current = false;
      top = element.scrollTop;
      setAway(!sticking.current);
    };
    const observer = new ResizeObserver(() => {
      if (sticking.current) element.scrollTop = element.scrollHeight;
    });
    observer.observe(inner);
    observer.observe(element);
    element.addEventListener('scroll', onScroll, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', onScroll);
    };
  }, []);

  return { scroller, content, away, jump };
}
