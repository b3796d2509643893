import { defineConfig } from 'vitest/config';

/** A file for `.ci/run` to count from; unset in everyday use. */
const report = process.env['REALMGATE_TEST_REPORT'];

export default defineConfig({
  test: {
    pool: 'forks',
    // Tests open real sockets and start real processes: generous for a slow machine, never a substitute for an event.
    testTimeout: 30_000,
    hookTimeout: 120_000,
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    projects: [
      {
        extends: true,
        test: {
          name: 'realmgate',
          include: ['test/**/*.test.ts'],
          exclude: ['test/keycloak/**'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          // One real Keycloak for all of these files, so one file at a time, and after the others: it needs a core.
          name: 'keycloak',
          include: ['test/keycloak/**/*.test.ts'],
          globalSetup: 'test/keycloak/boot.ts',
          fileParallelism: false,
          hookTimeout: 240_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
