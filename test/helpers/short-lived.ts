/**
 * Flags of Node for processes that live for seconds. V8 optimizes a function after eight times as much work in it as it does by
 * itself: it takes longer to optimize what a test runs than that ever saves.
 */
export const SHORT_LIVED: readonly string[] = ['--interrupt-budget=1081344']
