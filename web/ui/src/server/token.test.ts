import { describe, expect, it } from 'vitest';
import type { Store } from '../lib/storage';
import { expiresSoon, TokenSource } from './token';

function memory(): Store {
  const held = new Map<string, string>();
  return {
    get: (key) => held.get(key) ?? null,
    set: (key, value) => {
      if (value === null) held.delete(key);
      else held.set(key, value);
    },
  };
}

function jwt(exp: number): string {
  return `head.${btoa(JSON.stringify({ exp })).replaceAll('+', '-').replaceAll('/', '_')}.sign`;
}

const soon = (): number => Math.floor(Date.now() / 1000) + 10;
const late = (): number => Math.floor(Date.now() / 1000) + 3600;

describe('TokenSource', () => {
  it('mints once for callers that come together, and keeps the token', async () => {
    let minted = 0;
    const tokens = new TokenSource(() => Promise.resolve(`t${String(++minted)}`), memory());
    expect(await Promise.all([tokens.get(), tokens.get()])).toEqual(['t1', 't1']);
    expect(await tokens.get()).toBe('t1');
  });

  it('mints anew when the token is about to end', async () => {
    const answers = [jwt(soon()), jwt(late())];
    const tokens = new TokenSource(() => Promise.resolve(answers.shift() ?? null), memory());
    await tokens.get();
    expect(expiresSoon((await tokens.get()) ?? '')).toBe(false);
  });

  it('asks the person when the server does not mint, and keeps the answer for the tab', async () => {
    const kept = memory();
    const tokens = new TokenSource(() => Promise.resolve(null), kept);
    const got = tokens.get();
    await expect.poll(() => tokens.state).toBe('asking');
    tokens.give('pasted');
    expect(await got).toBe('pasted');
    expect(await new TokenSource(() => Promise.resolve(null), kept).get()).toBe('pasted');
  });

  it('asks again when the pasted token is refused', async () => {
    const tokens = new TokenSource(() => Promise.resolve(null), memory());
    const first = tokens.get();
    await expect.poll(() => tokens.state).toBe('asking');
    tokens.give('bad');
    tokens.refuse((await first) ?? '');
    const second = tokens.get();
    await expect.poll(() => tokens.state).toBe('refused');
    tokens.give('good');
    expect(await second).toBe('good');
    expect(tokens.state).toBe('quiet');
  });

  it('goes without where none is required', async () => {
    let asked = 0;
    const tokens = new TokenSource(() => Promise.resolve(((asked += 1), null)), memory());
    tokens.required = false;
    expect(await tokens.get()).toBeNull();
    expect(await tokens.get()).toBeNull();
    expect([asked, tokens.state]).toEqual([1, 'quiet']);
  });

  it('tries again after minting failed', async () => {
    const answers = [Promise.reject(new TypeError('Failed to fetch')), Promise.resolve('t')];
    const tokens = new TokenSource(() => answers.shift() ?? Promise.resolve(null), memory());
    await expect(tokens.get()).rejects.toThrow('Failed to fetch');
    expect(await tokens.get()).toBe('t');
  });
});

describe('expiresSoon', () => {
  it('reads the end of a JWT and shrugs at anything else', () => {
    expect(expiresSoon(jwt(soon()))).toBe(true);
    expect(expiresSoon(jwt(late()))).toBe(false);
    expect(expiresSoon('opaque')).toBe(false);
    expect(expiresSoon('a.b.c')).toBe(false);
  });
});
