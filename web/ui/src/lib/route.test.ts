import { describe, expect, it } from 'vitest';
import { chatHref, chatIdOf } from './route';

const at = (path: string): string | null => chatIdOf(new URL(path, 'http://host/prefix/'));

describe('the address of a chat', () => {
  it('is read from the hash', () => {
    expect(at('#/chat/abc')).toBe('abc');
  });

  it('is read from the query when there is no hash', () => {
    expect(at('?chat=abc')).toBe('abc');
    expect(at('?chat=')).toBeNull();
  });

  it('prefers the hash, so that "new chat" works on a page opened with a query', () => {
    expect(at('?chat=old#/chat/new')).toBe('new');
    expect(at('?chat=old#/')).toBeNull();
  });

  it('survives ids with slashes, spaces and percent signs', () => {
    const id = 'a/b c%2F?#é';
    expect(at(chatHref(id))).toBe(id);
  });

  it('is no chat when it is malformed', () => {
    expect(at('#/chat/')).toBeNull();
    expect(at('#/chat/%E0%A4%A')).toBeNull();
    expect(at('#/elsewhere')).toBeNull();
  });
});
