// @vitest-environment happy-dom
import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import type { UIMessage } from 'ai';
import { afterEach, expect, it } from 'vitest';
import type { ToolPart } from '../chat/parts';
import { ToolCard } from './ToolCard';

afterEach(cleanup);

function card(more: object, live = false): [string, boolean][] {
  const answers: [string, boolean][] = [];
  const call = { type: 'tool-pay', toolCallId: 'c', state: 'input-available', input: { amount: 40 } };
  const part = { ...call, ...more } as ToolPart;
  render(<ToolCard part={part} live={live} approve={(id, approved) => answers.push([id, approved])} />);
  return answers;
}

const head = (): HTMLElement => screen.getByRole('button', { expanded: false });

it('is folded to its name, its input in short and its state', () => {
  card({ state: 'output-available', output: { ok: true } });
  expect(head().textContent).toBe('payamount: 40Done');
  expect(screen.getByTestId('tool-card').dataset).toMatchObject({ tool: 'pay', state: 'output-available' });
});

it('opens to its input and output', () => {
  card({ state: 'output-available', output: { ok: true } });
  fireEvent.click(head());
  expect(screen.getByTestId('tool-card').textContent).toContain('"ok": true');
});

it('shows an output of null as one', () => {
  card({ state: 'output-available', output: null });
  fireEvent.click(head());
  expect(screen.getByTestId('tool-card').textContent).toContain('Outputnull');
});

it('shows why a call failed', () => {
  card({ state: 'output-error', errorText: 'no such account' });
  fireEvent.click(head());
  expect(screen.getByText('no such account')).toBeDefined();
});

it('asks for approval with its input in view, and passes the answer on', () => {
  const answers = card({ state: 'approval-requested', approval: { id: 'a1' } });
  expect(screen.getByText(/"amount": 40/)).toBeDefined();
  fireEvent.click(screen.getByTestId('deny'));
  fireEvent.click(screen.getByTestId('approve'));
  expect(answers).toEqual([
    ['a1', false],
    ['a1', true],
  ]);
});

function question(more: object = {}): unknown[] {
  const given: unknown[] = [];
  const call = { type: 'tool-ask', toolCallId: 'c', state: 'input-available' };
  const input = { question: 'Why?', options: ['late', 'broken'] };
  const part = { ...call, input, ...more } as ToolPart;
  const answer = (_: ToolPart, what: unknown): void => void given.push(what);
  render(<ToolCard part={part} live={false} approve={() => undefined} answer={answer} />);
  return given;
}

const typeAnswer = (value: string): void =>
  void fireEvent.change(screen.getByTestId('answer-input'), { target: { value } });

it('is answered by an option, by text, by JSON, or refused with a reason', () => {
  const given = question();
  fireEvent.click(screen.getByText('broken'));
  typeAnswer('it leaks');
  fireEvent.click(screen.getByTestId('answer'));
  fireEvent.click(screen.getByTestId('answer-error'));
  typeAnswer('{"why": 1}');
  fireEvent.click(screen.getByTestId('answer'));
  expect(given).toEqual([
    { output: 'broken' },
    { output: 'it leaks' },
    { errorText: 'it leaks' },
    { output: { why: 1 } },
  ]);
});

it('asks nothing of a call that the provider runs, or that has an output', () => {
  question({ providerExecuted: true });
  question({ state: 'output-available', output: 'late' });
  expect(screen.queryByTestId('answer-input')).toBeNull();
});

it('draws what a sub-agent said as a message', () => {
  const output = { id: 'm', role: 'assistant', parts: [{ type: 'text', text: 'found it' }] };
  const part = {
    type: 'tool-sub',
    toolCallId: 'c',
    state: 'output-available',
    input: {},
    output,
  } as ToolPart;
  const nested = (message: UIMessage) => <b>{message.parts.length} part</b>;
  render(<ToolCard part={part} live={false} approve={() => undefined} nested={nested} />);
  expect(screen.getByText('1 part')).toBeDefined();
});
