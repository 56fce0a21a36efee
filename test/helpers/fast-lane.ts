/** Whether the listeners of this test process have the fast lane, as they have by default; the suites of test/doors run without it. */
export const FAST_LANE: boolean = process.env.PORTICO_TEST_FAST_LANE !== 'off'
