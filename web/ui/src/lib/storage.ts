/** Web storage that shrugs when the browser forbids it. */
export interface Store {
  get(key: string): string | null;
  set(key: string, value: string | null): void;
}

/** Every key of ours starts with this: the page may share its origin with others. */
const PREFIX = 'chatagent.';

export function store(area: () => Storage): Store {
  return {
    get(key) {
      try {
        return area().getItem(PREFIX + key);
      } catch {
        return null; // forbidden by the browser: nothing is remembered
      }
    },
    set(key, value) {
      try {
        if (value === null) area().removeItem(PREFIX + key);
        else area().setItem(PREFIX + key, value);
      } catch {
        // forbidden or full: the page works without it
      }
    },
  };
}

/** Kept on this device. */
export const local = store(() => window.localStorage);
/** Kept until the tab is closed. */
export const session = store(() => window.sessionStorage);
