/** A number and what is counted: "1 minute", "0.5 minutes". */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en", { maximumFractionDigits: 20 })} ${noun}${count === 1 ? "" : "s"}`;
}
