import { describe, expect, it } from 'vitest';
import { StopGate } from './socket';

const frame = (type: string, requestId: string, id?: string): string =>
  JSON.stringify({ type, requestId, id });

describe('StopGate', () => {
  it('holds back an abort that no user asked for', () => {
    const gate = new StopGate();
    const chats = new Map<string, string>();
    expect(gate.passes(frame('send', 'r1', 'c1'), chats)).toBe(true);
    expect(gate.passes(frame('abort', 'r1'), chats)).toBe(false);
  });

  it('lets the abort of the stopped chat through, and of no other', () => {
    const gate = new StopGate();
    const chats = new Map<string, string>();
    gate.passes(frame('send', 'r1', 'c1'), chats);
    gate.passes(frame('resume', 'r2', 'c2'), chats);
    gate.open('c2');
    expect(gate.passes(frame('abort', 'r1'), chats)).toBe(false);
    expect(gate.passes(frame('abort', 'r2'), chats)).toBe(true);
  });

  it('closes again with the next request of the chat', () => {
    const gate = new StopGate();
    const chats = new Map<string, string>();
    gate.open('c1');
    gate.passes(frame('send', 'r1', 'c1'), chats);
    expect(gate.passes(frame('abort', 'r1'), chats)).toBe(false);
  });
});
