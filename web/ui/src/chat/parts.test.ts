import type { UIMessage } from 'ai';
import { describe, expect, it } from 'vitest';
import { blocksOf, sourcesOf, textOf } from './parts';

type Parts = UIMessage['parts'];

describe('blocksOf', () => {
  it('keeps the order of text and tools and drops step marks', () => {
    const parts: Parts = [
      { type: 'step-start' },
      { type: 'text', text: 'Let me look.', state: 'done' },
      { type: 'tool-search', toolCallId: 'c1', state: 'input-available', input: {} },
      { type: 'step-start' },
      { type: 'text', text: 'Found', state: 'streaming' },
    ];
    expect(blocksOf(parts).map((block) => block.kind)).toEqual(['text', 'tool', 'text']);
  });

  it('joins thoughts that follow each other, and only those', () => {
    const parts: Parts = [
      { type: 'reasoning', text: 'a', state: 'done' },
      { type: 'reasoning', text: 'b', state: 'streaming' },
      { type: 'text', text: 'x' },
      { type: 'reasoning', text: 'c', state: 'done' },
    ];
    expect(blocksOf(parts)).toMatchObject([
      { kind: 'reasoning', text: 'a\n\nb', streaming: true },
      { kind: 'text' },
      { kind: 'reasoning', text: 'c', streaming: false },
    ]);
  });

  it('joins neighbouring files and shows data by its name', () => {
    const file = { type: 'file', url: 'data:,x', mediaType: 'text/plain' } as const;
    const blocks = blocksOf([file, file, { type: 'data-chart', data: { pct: 1 } }]);
    expect(blocks).toMatchObject([
      { kind: 'files', files: [file, file] },
      { kind: 'data', name: 'chart', data: { pct: 1 } },
    ]);
  });

  it('shows nothing for empty text and for parts it does not know', () => {
    const unknown = { type: 'hologram' } as unknown as Parts[number];
    expect(blocksOf([{ type: 'text', text: '' }, unknown])).toEqual([]);
  });

  it('keeps the key of a block while its message grows', () => {
    const parts: Parts = [{ type: 'step-start' }, { type: 'text', text: 'a' }];
    const grown: Parts = [...parts, { type: 'tool-x', toolCallId: 'c', state: 'input-available', input: 1 }];
    expect(blocksOf(grown)[0]?.key).toBe(blocksOf(parts)[0]?.key);
  });
});

it('lists a source once, however often it was cited', () => {
  const url = { type: 'source-url', url: 'https://a.example', title: 'A' } as const;
  const parts: Parts = [
    { ...url, sourceId: '1' },
    { ...url, sourceId: '2' },
    { type: 'source-document', sourceId: '3', mediaType: 'application/pdf', title: 'B' },
  ];
  expect(sourcesOf(parts).map((source) => source.title)).toEqual(['A', 'B']);
});

it('copies the text alone', () => {
  const message: UIMessage = {
    id: 'm',
    role: 'assistant',
    parts: [
      { type: 'reasoning', text: 'hm' },
      { type: 'text', text: 'One.' },
      { type: 'tool-x', toolCallId: 'c', state: 'input-available', input: 1 },
      { type: 'text', text: 'Two.' },
    ],
  };
  expect(textOf(message)).toBe('One.\n\nTwo.');
});

it('shows progress as a line and the marks of the server as quiet dividers, or not at all', () => {
  const data = (type: string, value: unknown) => ({ type: `data-${type}`, data: value }) as never;
  const blocks = blocksOf([
    data('progress', { source: 'queue', status: 'reading' }),
    data('progress', { source: 'heapq', status: 'done' }),
    data('compacted', {}),
    data('turn-end', { reason: 'stopped' }),
  ]);
  expect(blocks).toMatchObject([
    { kind: 'progress', text: 'queue: reading', done: false },
    { kind: 'progress', text: 'heapq: done', done: true },
    { kind: 'mark' },
  ]);
});
