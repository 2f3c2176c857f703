// Preloaded into the processes of `heddle-portable`: has the packages take what browsers take.
import { register } from "node:module";

const PORTABLE = { "#fast-backend": "./backend-none.js", "#crypto": "./crypto.portable.js" };

const hooks = `
const portable = ${JSON.stringify(PORTABLE)};
export const resolve = (specifier, context, next) => next(portable[specifier] ?? specifier, context);
`;

register(`data:text/javascript,${encodeURIComponent(hooks)}`);
