/**
 * Flags of Node for processes that live for seconds. A function is optimized after eight times as much work in it as by default:
 * to optimize what a test runs takes longer than that ever saves.
 */
export const SHORT_LIVED: readonly string[] = ['--interrupt-budget=1081344']
