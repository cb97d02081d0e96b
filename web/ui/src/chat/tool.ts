import { getToolName, type UIMessage } from 'ai';
import type { ToolPart } from './parts';

export interface ToolFace {
  name: string;
  /** What the call came to, in a word or two. */
  label: string;
  tone: 'working' | 'done' | 'failed' | 'asking' | 'refused' | 'unfinished';
  /** The input in one line. */
  preview: string;
}

/** What the person says to a call that waits for them: an output, or why there is none. */
export type ToolAnswer = { output: unknown } | { errorText: string };

/** What the folded card of a tool call shows. `live`: its answer is still running; `mine`: it waits for us. */
export function toolFace(part: ToolPart, live: boolean, mine = false): ToolFace {
  const face = { name: part.title ?? getToolName(part), preview: previewOf(part.input) };
  const unfinished = { ...face, label: 'Unfinished', tone: 'unfinished' } as const;
  switch (part.state) {
    case 'input-streaming':
      return live ? { ...face, label: 'Preparing', tone: 'working' } : unfinished;
    case 'input-available':
      if (mine) return { ...face, label: 'Needs your answer', tone: 'asking' };
      return live ? { ...face, label: 'Running', tone: 'working' } : unfinished;
    case 'approval-requested':
      return { ...face, label: 'Needs your approval', tone: 'asking' };
    case 'approval-responded':
      return part.approval.approved
        ? { ...face, label: live ? 'Approved, running' : 'Approved', tone: live ? 'working' : 'done' }
        : { ...face, label: 'Denied', tone: 'refused' };
    case 'output-available': {
      const partial = live && part.preliminary === true;
      return { ...face, label: partial ? 'Running' : 'Done', tone: partial ? 'working' : 'done' };
    }
    case 'output-error':
      return { ...face, label: 'Failed', tone: 'failed' };
    case 'output-denied':
      return { ...face, label: 'Denied', tone: 'refused' };
  }
}

/** An input in one line: `query: mount flask app, limit: 5`. */
export function previewOf(input: unknown): string {
  if (input === null || input === undefined) return '';
  if (typeof input !== 'object') return short(input);
  return Object.entries(input)
    .map(([key, value]) => (Array.isArray(input) ? short(value) : `${key}: ${short(value)}`))
    .join(', ');
}

function short(value: unknown): string {
  if (value === undefined) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

/** What a call that the page has to answer asks: its question and the answers it offers, where its input has them. */
export function askedOf(input: unknown): { question: string | null; options: string[] } {
  const { question, options } = (input ?? {}) as { question?: unknown; options?: unknown };
  const offered = Array.isArray(options) ? options.filter((option) => typeof option === 'string') : [];
  return { question: typeof question === 'string' ? question : null, options: offered };
}

/** What was typed as a tool's output: an object or a list when it is the JSON of one, else the text. */
export function typedOutput(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text; // it only looked like JSON
  }
}

/** The message that a tool gave, when it is one: what a sub-agent said. */
export function messageIn(output: unknown): UIMessage | null {
  const { role, parts } = (output ?? {}) as { role?: unknown; parts?: unknown };
  return role === 'assistant' && Array.isArray(parts) ? (output as UIMessage) : null;
}
