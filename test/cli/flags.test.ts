import { describe, expect, test } from 'vitest';
import { type Flags, pairs, parseFlags } from '../../src/cli/flags.ts';
import { UsageError } from '../../src/cli/verb.ts';

const FLAGS = {
  name: { value: 'NAME', short: 'n', negatable: true, help: '' },
  tag: { value: 'TAG', multiple: true, negatable: true, help: '' },
  wait: { negatable: true, help: '' },
  json: { help: '' },
} as const satisfies Flags;

test('knows long and short flags, repeated ones, their opposites, and operands between them', () => {
  const { values, operands } = parseFlags(FLAGS, [
    'a',
    '-n',
    'x',
    '--tag',
    '1',
    'b',
    '--tag=2',
    '--no-wait',
    '--json',
  ]);
  expect(values).toEqual({ name: 'x', tag: ['1', '2'], wait: false, json: true });
  expect(operands).toEqual(['a', 'b']);
  expect(parseFlags(FLAGS, ['--no-name', '--no-tag']).values).toEqual({ name: null, tag: [] });
  expect(parseFlags(FLAGS, ['--name', '-', '--', '--json'])).toEqual({
    values: { name: '-' },
    operands: ['--json'],
  });
  expect(parseFlags(FLAGS, ['--name=-x', '--tag=']).values).toEqual({ name: '-x', tag: [''] });
});

describe('what is wrong is told without the value', () => {
  test.each([
    [['--nam=hunter2'], 'there is no option --nam; did you mean --name?'],
    [['--no-json'], 'there is no option --no-json'],
    [['-z'], 'there is no option -z'],
    [['--json=hunter2'], '--json takes no value'],
    [['--no-name=hunter2'], '--no-name takes no value'],
    [['--name'], '--name needs its value: --name NAME'],
    [['--name', '--json'], '--name needs its value, and an option follows it'],
    [['--name', 'hunter2', '--name', 'hunter2'], '--name is given twice'],
    [['--constructor'], 'there is no option --constructor'],
  ])('%j', (args, message) => {
    const failure = (() => {
      try {
        return parseFlags(FLAGS, args);
      } catch (error) {
        return error;
      }
    })();
    expect(failure).toBeInstanceOf(UsageError);
    expect((failure as Error).message).toContain(message);
    expect((failure as Error).message).not.toContain('hunter2');
  });
});

test('pairs keep what looks like part of the prototype', () => {
  const found = pairs('param', ['__proto__=1', 'constructor=2', 'a=b=c']);
  expect(Object.entries(found)).toEqual([
    ['__proto__', '1'],
    ['constructor', '2'],
    ['a', 'b=c'],
  ]);
  expect(() => pairs('param', ['a=1', 'a=2'])).toThrow('--param gives a twice');
});
