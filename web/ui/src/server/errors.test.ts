import { describe, expect, it } from 'vitest';
import { ApiError, explain, isNetworkError } from './errors';

describe('explain', () => {
  it('hides what browsers and transports call a lost connection', () => {
    expect(explain(new TypeError('Failed to fetch'))).toBe('The connection to the server was lost.');
    expect(explain(new TypeError('WebSocket chat network connection closed (code 1006).'))).toBe(
      'The connection to the server was lost.',
    );
  });

  it('keeps the reason with which a server closed the socket', () => {
    const error = new TypeError('WebSocket chat network connection closed (code 1008: token expired).');
    expect(explain(error)).toBe('token expired');
  });

  it('reads the sentence out of a JSON body', () => {
    expect(explain(new Error('{"error":"unknown agent"}'))).toBe('unknown agent');
    expect(explain(new Error('{"message":"too large","code":413}'))).toBe('too large');
  });

  it('passes other messages on, and never says nothing', () => {
    expect(explain(new ApiError(403, 'forbidden'))).toBe('forbidden');
    expect(explain(new Error('{broken'))).toBe('{broken');
    expect(explain(new Error(''))).toBe('Something went wrong.');
    expect(explain(undefined)).toBe('Something went wrong.');
  });
});

it('takes only TypeErrors about the network as network errors', () => {
  expect(isNetworkError(new TypeError('x is not a function'))).toBe(false);
  expect(isNetworkError(new Error('network'))).toBe(false);
  expect(isNetworkError(new TypeError('Load failed'))).toBe(true);
});
