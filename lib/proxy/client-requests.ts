/** How many requests of one client are under way. HOT */

export class ClientRequests {
  count: number = 0

  get isEmpty(): boolean {
    return this.count === 0
  }
}
