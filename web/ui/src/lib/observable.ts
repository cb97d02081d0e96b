import { useSyncExternalStore } from 'react';

/** Something that changes and can be watched; components watch it with {@link useObserved}. */
export class Observable {
  readonly #listeners = new Set<() => void>();
  #version = 0;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Grows by one with each change. */
  readonly version = (): number => this.#version;

  readonly changed = (): void => {
    this.#version += 1;
    for (const listener of [...this.#listeners]) listener();
  };
}

/** Renders again whenever the observed object changes. */
export function useObserved<T extends Observable>(observed: T): T {
  useSyncExternalStore(observed.subscribe, observed.version);
  return observed;
}
