import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests open real sockets and start real processes: generous for a slow machine, never a substitute for an event.
    testTimeout: 30_000,
    hookTimeout: 120_000,
    pool: 'forks',
  },
});
