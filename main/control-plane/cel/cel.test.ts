import { describe, expect, it } from "vitest";
import { Budget, CelBudgetError, CelCompileError, CelError, celEnvironment, toCel } from "./environment.ts";
import type { ValueSchema } from "./environment.ts";

const dyn = celEnvironment({ self: "dyn" });
const run = (expression: string, self: unknown = {}): unknown =>
  dyn.compile(expression).evaluate({ self: toCel(self) });

describe("Kubernetes' CEL", () => {
  it.each([
    ["[1, 2, 2].isSorted()"],
    ["![3, 1].isSorted()"],
    ["[1, 2, 3].sum() == 6 && [1, 2].min() == 1 && [1.5, 2.5].max() == 2.5"],
    ["['a', 'b', 'a'].lastIndexOf('a') == 2 && ['a'].indexOf('z') == -1"],
    ["sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])"],
    ["'%s is %d, %.2f' .format(['a', 3, 1.5]) == 'a is 3, 1.50'"],
    ["'abc'.replace('b', 'x') == 'axc' && 'abc'.charAt(1) == 'b' && 'abc'.reverse() == 'cba'"],
    ["'x-12-y'.find('[0-9]+') == '12' && 'a1b2'.findAll('[0-9]') == ['1', '2']"],
    ["'Foo.Bar'.matches(r'^(?i)[a-z]+([.][a-z]+)*$') && 'a1b2c3'.findAll('[0-9]', 2) == ['1', '2']"],
    // Backtracking would take longer than the universe has been there.
    ["!('a'.replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') + 'b').matches('^(a+)+$')"],
    ["has([{'a': 1}][0].a) && !has({'b': {'c': 1}}.b.d) && !has(self.?x.y)"],
    ["'HELLO'.matches('(?i)^hello$') && !'abc'.matches('^[0-9]+$')"],
    [
      "quantity('1Gi').isGreaterThan(quantity('500Mi')) && quantity('1').add(quantity('500m')).compareTo(quantity('1500m')) == 0",
    ],
    ["isQuantity('2k') && !isQuantity('2x') && quantity('50k').isInteger() && quantity('50k').asInteger() == 50000"],
    ["url('https://example.com:8080/path?k=v').getPort() == '8080' && url('https://h/p').getHost() == 'h'"],
    [
      "url('https://[::1]:80/').getHostname() == '::1' && !isURL('nope') && url('https://h/?a=1&a=2').getQuery()['a'] == ['1', '2']",
    ],
    ["ip('10.0.0.1').family() == 4 && isIP('::1') && !isIP('10.0.0.256') && ip('127.0.0.1').isLoopback()"],
    ["ip.isCanonical('::1') && string(ip('2001:db8::1')) == '2001:db8::1'"],
    ["cidr('10.0.0.0/8').containsIP('10.1.2.3') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')"],
    ["cidr('10.0.0.1/8').masked() == cidr('10.0.0.0/8') && cidr('10.0.0.0/8').prefixLength() == 8"],
    ["semver('1.2.3').isLessThan(semver('1.10.0')) && isSemver('v1.2', true) && semver('1.2.3').minor() == 2"],
    ["!format.dns1123Label().validate('abc').hasValue() && format.dns1123Label().validate('A_b').hasValue()"],
    ["format.named('uuid').hasValue() && !format.named('nonsense').hasValue()"],
    ["[1, 2].all(i, v, v == i + 1) && {'a': 1}.exists(k, v, k == 'a' && v == 1)"],
    ["{'a': 1}.transformMap(k, v, v + 1) == {'a': 2} && [3, 4].transformList(i, v, i > 0, v) == [4]"],
    ["optional.of(2).optMap(x, x + 1).orValue(0) == 3 && !optional.ofNonZeroValue('').hasValue()"],
    ["self.?missing.orValue('none') == 'none'"],
    ["{'a': 1, 'b': 2}.all(k, k in ['a', 'b'])"],
    ["duration('1h').getMinutes() == 60 && timestamp('2024-01-01T00:00:00Z').getFullYear() == 2024"],
    ["strings.quote('a\"b') == '\"a\\\\\"b\"'"],
  ])("%s", (expression) => {
    expect(run(expression)).toBe(true);
  });

  it("compares whatever is inside dynamic values", () => {
    expect(run("self.a == self.b", { a: { x: 1 }, b: { x: "1" } })).toBe(false);
    expect(run("self.a == self.b", { a: { x: [1, { y: true }] }, b: { x: [1, { y: true }] } })).toBe(true);
    expect(run("self.n > 1 && self.f < 1.5", { n: 2, f: 1.25 })).toBe(true);
    expect(run("has(self.constructor)", {})).toBe(false);
  });

  it("says what is missing when it runs", () => {
    expect(() => run("self.x.y > 1", { x: {} })).toThrow(new CelError("no such key: y"));
    expect(() => run("self.l[3]", { l: [1] })).toThrow("index out of bounds: 3");
  });

  const schema: ValueSchema = {
    type: "object",
    properties: {
      replicas: { type: "integer" },
      "x-y": { type: "string" },
      ports: { type: "array", items: { type: "object", properties: { name: { type: "string" } } } },
      labels: { type: "object", additionalProperties: { type: "string" } },
    },
  };
  const typed = celEnvironment({ self: schema, oldSelf: schema });

  it("lets an object, and lists and parts of it, be compared with what they were", () => {
    const part: ValueSchema = { type: "object", properties: { name: { type: "string" } } };
    const whole: ValueSchema = { type: "object", properties: { part, parts: { type: "array", items: part } } };
    const environment = celEnvironment({ self: whole, oldSelf: whole });
    const [now, then] = [
      { part: { name: "a" }, parts: [{ name: "b" }] },
      { part: { name: "a" }, parts: [{ name: "c" }] },
    ];
    const compare = (rule: string): unknown =>
      environment.compile(rule, ["bool"]).evaluate({ self: toCel(now, whole), oldSelf: toCel(then, whole) });
    expect(compare("self.part == oldSelf.part")).toBe(true);
    expect(compare("self.parts == oldSelf.parts")).toBe(false);
    expect(compare("self == oldSelf || self.part != oldSelf.part")).toBe(false);
    expect(compare("self.parts[0] in oldSelf.parts")).toBe(false);
  });

  it("checks expressions against the schema", () => {
    expect(typed.compile("self.replicas > 1", ["bool"]).type).toBe("bool");
    expect(typed.compile("self.ports.all(p, p.name != '') && self.labels.all(k, self.labels[k] != '')").type).toBe(
      "bool",
    );
    const problem = (expression: string): string => {
      try {
        typed.compile(expression, ["bool"]);
        return "";
      } catch (error) {
        expect(error).toBeInstanceOf(CelCompileError);
        return (error as Error).message;
      }
    };
    expect(problem("self.nope == 1")).toBe("ERROR: <input>:1:5: undefined field 'nope'\n | self.nope == 1\n | ....^");
    expect(problem("other == 1")).toContain("undeclared reference to 'other' (in container '')");
    expect(problem("self.replicas + 'a' == 'b'")).toContain(
      "found no matching overload for '_+_' applied to '(int, string)'",
    );
    expect(problem("self.replicas")).toBe("must evaluate to a bool");
    expect(problem("self.replicas >")).toContain("Syntax error");
  });

  it("reads names that need escaping", () => {
    const program = typed.compile("self.x__dash__y == 'z'");
    expect(program.evaluate({ self: toCel({ "x-y": "z" }, schema), oldSelf: null })).toBe(true);
  });

  it("stops what costs too much", () => {
    const list = Array.from({ length: 2000 }, (_, at) => at);
    const program = dyn.compile("self.all(x, self.all(y, x * y >= 0))");
    expect(() => program.evaluate({ self: toCel(list) })).toThrow(CelBudgetError);
    const budget = new Budget(100);
    expect(dyn.compile("self.exists(x, x == 1)").evaluate({ self: toCel([1]) }, budget)).toBe(true);
    expect(budget.left).toBeLessThan(100);
    expect(budget.left).toBeGreaterThan(80);
  });
});
