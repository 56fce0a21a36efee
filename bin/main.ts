/** The program: the command line in a process of its own. */
import { runCommandLine } from './command-line.ts'

process.exitCode = await runCommandLine(process)
