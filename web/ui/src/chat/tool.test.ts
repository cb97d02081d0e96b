import { describe, expect, it } from 'vitest';
import type { ToolPart } from './parts';
import { askedOf, messageIn, previewOf, toolFace, typedOutput } from './tool';

const call = { type: 'tool-search_docs', toolCallId: 'c', state: 'input-available', input: { q: 'x' } };
const part = (more: object): ToolPart => ({ ...call, ...more }) as ToolPart;

describe('toolFace', () => {
  it('names the tool by its part, its own name or its title', () => {
    expect(toolFace(part({}), true).name).toBe('search_docs');
    expect(toolFace(part({ type: 'dynamic-tool', toolName: 'mcp-find' }), true).name).toBe('mcp-find');
    expect(toolFace(part({ title: 'Search' }), true).name).toBe('Search');
  });

  it('calls a call without a result unfinished once its answer has ended', () => {
    expect(toolFace(part({}), true)).toMatchObject({ label: 'Running', tone: 'working' });
    expect(toolFace(part({}), false)).toMatchObject({ label: 'Unfinished', tone: 'unfinished' });
  });

  it('keeps running while results are preliminary', () => {
    const output = { state: 'output-available', output: 1 };
    expect(toolFace(part({ ...output, preliminary: true }), true).tone).toBe('working');
    expect(toolFace(part(output), true).tone).toBe('done');
  });

  it('tells the answers to an approval apart', () => {
    const answered = (approved: boolean) =>
      part({ state: 'approval-responded', approval: { id: 'a', approved } });
    expect(toolFace(answered(true), true).label).toBe('Approved, running');
    expect(toolFace(answered(false), true).label).toBe('Denied');
  });
});

describe('previewOf', () => {
  it('shows an input in one line', () => {
    expect(previewOf({ query: 'a\n b', limit: 5, deep: { x: [1] } })).toBe(
      'query: a b, limit: 5, deep: {"x":[1]}',
    );
    expect(previewOf(['a', 2])).toBe('a, 2');
    expect(previewOf('text')).toBe('text');
    expect(previewOf(undefined)).toBe('');
  });

  it('cuts long values', () => {
    expect(previewOf({ q: 'x'.repeat(80) })).toHaveLength('q: '.length + 60);
  });
});

describe('a call that waits for the person', () => {
  it('says so', () => {
    expect(toolFace(part({}), false, true)).toMatchObject({ label: 'Needs your answer', tone: 'asking' });
  });

  it('asks what its input says', () => {
    expect(askedOf({ question: 'Why?', options: ['late', 3] })).toEqual({
      question: 'Why?',
      options: ['late'],
    });
    expect(askedOf('Why?')).toEqual({ question: null, options: [] });
  });

  it('is answered with JSON where one typed it, else with the text', () => {
    expect(['{"a": 1}', '[2]', '5', '{oops'].map(typedOutput)).toEqual([{ a: 1 }, [2], '5', '{oops']);
  });
});

it('knows the message of a sub-agent from other outputs', () => {
  const message = { id: 'm', role: 'assistant', parts: [] };
  expect(messageIn(message)).toBe(message);
  expect([messageIn(null), messageIn('x'), messageIn({ role: 'assistant' })]).toEqual([null, null, null]);
});
