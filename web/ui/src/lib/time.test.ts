import { describe, expect, it } from 'vitest';
import { dayGroup, relativeTime } from './time';

const now = new Date(2026, 2, 11, 15, 30); // a Wednesday
const ago = (ms: number): string => relativeTime(new Date(now.getTime() - ms), now);
const at = (...when: [number, number, number, number?, number?]): Date => new Date(...when);

describe('relativeTime', () => {
  it('counts minutes, then hours', () => {
    expect(ago(20_000)).toBe('now');
    expect(ago(5 * 60_000)).toBe('5 min');
    expect(ago(3 * 3_600_000)).toBe('3 h');
  });

  it('takes a moment in the future, from a clock that runs ahead, as now', () => {
    expect(ago(-5000)).toBe('now');
  });

  it('names the day within a week and the date beyond', () => {
    expect(relativeTime(at(2026, 2, 10, 4), now)).toBe('yesterday');
    expect(relativeTime(at(2026, 2, 9, 4), now)).toBe('Mon');
    expect(relativeTime(at(2026, 1, 4), now)).toBe('4 Feb');
    expect(relativeTime(at(2024, 1, 4), now)).toBe('4 Feb 2024');
  });

  it('still counts hours shortly after midnight', () => {
    expect(relativeTime(at(2026, 2, 10, 23), at(2026, 2, 11, 1))).toBe('2 h');
  });

  it('says nothing about a date that is none', () => {
    expect(relativeTime(new Date('nonsense'), now)).toBe('');
  });
});

describe('dayGroup', () => {
  it('follows the calendar, not the hours', () => {
    expect(dayGroup(at(2026, 2, 11, 0, 1), now)).toBe('Today');
    expect(dayGroup(at(2026, 2, 10, 23, 59), now)).toBe('Yesterday');
    expect(dayGroup(at(2026, 2, 5), now)).toBe('Last 7 days');
    expect(dayGroup(at(2026, 1, 20), now)).toBe('Last 30 days');
    expect(dayGroup(at(2025, 1, 20), now)).toBe('Older');
  });
});
