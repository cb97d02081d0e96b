// @vitest-environment happy-dom
import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import { createRef } from 'react';
import { afterEach, expect, it } from 'vitest';
import { Composer } from './Composer';

afterEach(cleanup);

let chats = 0;

function composer(state: { waiting?: boolean; busy?: boolean } = {}, chatId = `chat-${++chats}`) {
  const sent: string[] = [];
  let stops = 0;
  const shown = render(
    <Composer
      chatId={chatId}
      input={createRef()}
      waiting={state.waiting ?? false}
      busy={state.busy ?? false}
      send={(text, steer) => sent.push(steer ? `steer: ${text}` : text)}
      stop={() => (stops += 1)}
    />,
  );
  return { sent, stops: () => stops, ...shown };
}

const field = (): HTMLTextAreaElement => screen.getByTestId('composer-input');
const type = (value: string): void => void fireEvent.change(field(), { target: { value } });
const press = (more: object): void => void fireEvent.keyDown(field(), { key: 'Enter', ...more });

it('sends with Enter and empties the field', () => {
  const { sent } = composer();
  type('  hello ');
  press({});
  expect(sent).toEqual(['hello']);
  expect(field().value).toBe('');
});

it('does not send with Shift+Enter, nor while an input method composes', () => {
  const { sent } = composer();
  type('hello');
  press({ shiftKey: true });
  press({ isComposing: true });
  expect(sent).toEqual([]);
});

it('keeps the text while it has to wait', () => {
  const { sent } = composer({ waiting: true });
  type('hello');
  press({});
  expect([sent, field().value]).toEqual([[], 'hello']);
});

it('sends nothing of nothing', () => {
  const { sent } = composer();
  type('   ');
  press({});
  expect(sent).toEqual([]);
  expect(screen.getByTestId<HTMLButtonElement>('send').disabled).toBe(true);
});

it('offers to stop while an answer is under way', () => {
  const { stops } = composer({ busy: true, waiting: true });
  fireEvent.click(screen.getByTestId('stop'));
  expect(stops()).toBe(1);
  expect(screen.queryByTestId('send')).toBeNull();
});

it('remembers a draft while another chat is looked at', () => {
  const { unmount } = composer({}, 'draft');
  type('half a thou');
  unmount();
  composer({}, 'draft');
  expect(field().value).toBe('half a thou');
});

it('queues with Enter and steers with Ctrl+Enter while an answer is under way', () => {
  const { sent } = composer({ busy: true });
  for (const keys of [{}, { ctrlKey: true }, { metaKey: true }]) {
    type('more');
    press(keys);
  }
  expect(sent).toEqual(['more', 'steer: more', 'steer: more']);
});

it('does not steer what is not under way', () => {
  const { sent } = composer();
  type('hello');
  press({ ctrlKey: true });
  expect(sent).toEqual(['hello']);
});
