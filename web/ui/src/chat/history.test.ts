import type { UIMessage } from 'ai';
import { describe, expect, it } from 'vitest';
import { mergeHistory, steady } from './history';

const user = (id: string): UIMessage => ({ id, role: 'user', parts: [{ type: 'text', text: id }] });
const answer = (id: string, text = id): UIMessage => ({
  id,
  role: 'assistant',
  parts: [{ type: 'text', text }],
});

describe('mergeHistory', () => {
  it('takes the stored messages when we have none', () => {
    const stored = [user('u1'), answer('a1')];
    expect(mergeHistory([], stored, false)).toEqual({ messages: stored, undelivered: null });
    expect(mergeHistory([], stored, true)).toEqual({ messages: stored, undelivered: null });
  });

  it('replaces a partial answer by the stored one', () => {
    const stored = [user('u1'), answer('a1', 'whole')];
    expect(mergeHistory([user('u1'), answer('a1', 'wh')], stored, false).messages).toEqual(stored);
  });

  it('keeps our partial answer on the screen while it is still running', () => {
    const ours = [user('u1'), answer('a1', 'wh')];
    expect(mergeHistory(ours, [user('u1')], true).messages).toEqual(ours);
  });

  it('drops a partial answer that the server gave up', () => {
    const merged = mergeHistory([user('u1'), answer('a1', 'wh')], [user('u1')], false);
    expect(merged).toEqual({ messages: [user('u1')], undelivered: null });
  });

  it('keeps a question that never arrived, and says so', () => {
    const merged = mergeHistory([user('u1'), answer('a1'), user('u2')], [user('u1'), answer('a1')], false);
    expect(merged.undelivered?.id).toBe('u2');
    expect(merged.messages.map((message) => message.id)).toEqual(['u1', 'a1', 'u2']);
  });

  it('does not call a question lost while the server is at work', () => {
    expect(mergeHistory([user('u1')], [], true)).toEqual({ messages: [user('u1')], undelivered: null });
  });

  it('brings what another tab did meanwhile', () => {
    const stored = [user('u1'), answer('a1'), user('u2'), answer('a2')];
    expect(mergeHistory([user('u1'), answer('a1')], stored, false).messages).toEqual(stored);
  });

  it('does not show the old answer beside the one that is being regenerated', () => {
    const ours = [user('u1'), answer('new', 'n')];
    expect(mergeHistory(ours, [user('u1'), answer('old')], true).messages).toEqual(ours);
  });
});

describe('steady', () => {
  it('holds the longer message until the replay has caught up', () => {
    const shown = [user('u1'), answer('a1', 'one two three')];
    const behind = [user('u1'), answer('a1', 'one')];
    const ahead = [user('u1'), answer('a1', 'one two three four')];
    expect(steady(shown, behind)).toEqual(shown);
    expect(steady(shown, ahead)).toBe(ahead);
  });

  it('shows another answer at once', () => {
    const incoming = [user('u1'), answer('a2', '')];
    expect(steady([user('u1'), answer('a1', 'long')], incoming)).toBe(incoming);
  });

  it('holds an answer that is gone only because its replay has not begun', () => {
    const shown = [user('u1'), answer('a1')];
    expect(steady(shown, [user('u1')])).toBe(shown);
    expect(steady(shown, [])).toEqual([]);
  });
});
