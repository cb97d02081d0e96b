import { expect, it } from 'vitest';
import { hostOf, linkable, loadable } from './url';

it('links to the web and to mail, and to nothing that runs', () => {
  expect(linkable('https://a.example/x')).toBe('https://a.example/x');
  expect(linkable('mailto:a@b.example')).toBeDefined();
  for (const url of ['javascript:alert(1)', ' javascript:alert(1)', 'data:text/html,x', '//x', 'x', '']) {
    expect(linkable(url)).toBeUndefined();
  }
});

it('loads data addresses, but no documents that run', () => {
  expect(loadable('data:image/png;base64,AA')).toBeDefined();
  expect(loadable('data:application/pdf;base64,AA')).toBeDefined();
  expect(loadable('data:text/html,x')).toBeUndefined();
  expect(loadable('DATA:image/svg+xml,x')).toBeUndefined();
});

it('names the host', () => {
  expect(hostOf('https://www.example.com/a?b')).toBe('example.com');
  expect(hostOf('nonsense')).toBe('');
});
