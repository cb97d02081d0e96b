// @vitest-environment happy-dom
import { cleanup, render } from '@testing-library/react';
import { afterEach, expect, it } from 'vitest';
import { Markdown } from './Markdown';

afterEach(cleanup);

const html = (text: string): HTMLElement => render(<Markdown text={text} />).container;

it('shows raw HTML as text', () => {
  const shown = html('Hi <img src=x onerror=alert(1)> <script>alert(1)</script>');
  expect(shown.querySelector('img, script')).toBeNull();
  expect(shown.textContent).toContain('onerror');
});

it('drops links that would run', () => {
  const shown = html('[x](javascript:alert(1))');
  expect(shown.querySelector('a')).toBeNull();
  expect(shown.textContent).toBe('x');
});

it('links to an image instead of fetching it', () => {
  const shown = html('![chart](https://elsewhere.example/p.png?secret=1)');
  expect(shown.querySelector('img')).toBeNull();
  expect(shown.querySelector('a')?.textContent).toBe('chart');
});

it('opens links outside of the page', () => {
  const link = html('[x](https://a.example)').querySelector('a');
  expect([link?.target, link?.rel]).toEqual(['_blank', 'noopener noreferrer']);
});

it('shows code with its language and tables as tables', () => {
  const shown = html('```python\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |');
  expect(shown.querySelector('figcaption')?.textContent).toBe('python');
  expect(shown.querySelector('pre')?.textContent).toBe('x = 1');
  expect(shown.querySelectorAll('td')).toHaveLength(2);
});
