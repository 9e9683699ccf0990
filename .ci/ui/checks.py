"""What somebody sees who opens the dashboard: each check is a story of its own, told by its name."""

import os
import sys
import time

from agents import Cluster, free_port, poll
from browser import Browser
from page_checks import CONTRAST, FOCUSED, NAMELESS, SHAPE, UNITS

ROUTES = ["#/services", "#/members", "#/map", "#/events", "#/figures"]
HOSTILE = "<img src=x onerror=\"window.pwned=1;alert(1)\">'\"><script>window.pwned=2</script>"
VISIBLE_WITHIN_S = 1.0


def now_ms():
    return time.time() * 1000


class Checks:
    def __init__(self, binary, pictures):
        self.cluster = Cluster(binary)
        self.browser = Browser()
        self.pictures = pictures
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.n1 = self.cluster.start("n1", http_port=self.port)
        self.n2 = self.cluster.start("n2", join=self.n1.gossip)
        self.n3 = self.cluster.start("n3", join=self.n1.gossip)
        poll("three members", lambda: len(self.n1.get("/v1/shoal/members")) == 3)
        self.n1.register("cart-0", Tags=["http"], Meta={"version": "2.9.0"})
        self.n2.register("cart-1")
        self.n2.put("/v1/agent/check/update/service:cart-1", {"Status": "critical", "Output": "connection refused"})
        poll("two instances", lambda: self.n1.get("/v1/shoal/status")["catalog"]["instances"] == 2)

    def open(self, route="", **options):
        page = self.browser.page(f"{self.base}/ui/{route}", **options)
        page.wait("document.querySelector('#link.is-live')", "the page is live")
        return page

    def goto(self, page, route):
        page.eval(f"location.hash = {route!r}")
        page.wait(f"document.querySelector('main').firstElementChild && location.hash === {route!r}", route)

    def picture(self, page, name):
        if self.pictures:
            page.screenshot(os.path.join(self.pictures, f"{name}.png"))

    def settle(self, page, origin=None, allowed=()):
        """At the end of every story: nothing was logged as an error, and nobody else was asked."""
        errors = [e for e in page.errors if not any(word in e for word in allowed)]
        assert not errors, errors
        others = [r for r in page.requests if not r.startswith((origin or self.base) + "/") and r != "about:blank"]
        assert not others, others
        assert page.requests, "the page asked for nothing"
        page.close()

    # ---- what changes is there at once

    def a_service_that_registers_is_on_the_page_within_a_second(self):
        page = self.open()
        slowest = 0.0
        for n, agent in enumerate([self.n1, self.n2, self.n3]):
            began = time.monotonic()
            agent.register(f"new-{n}")
            page.wait(f"[...document.querySelectorAll('.service-name')].some((e) => e.textContent === 'new-{n}')", "the service")
            slowest = max(slowest, time.monotonic() - began)
        assert slowest <= VISIBLE_WITHIN_S, f"{slowest:.3f} s"
        began = time.monotonic()
        self.n2.put("/v1/agent/check/update/service:new-1", {"Status": "critical", "Output": "no route to host"})
        page.wait("document.querySelector('.detail').innerText.includes('no route to host')", "why it is critical")
        took = time.monotonic() - began
        assert took <= VISIBLE_WITHIN_S, f"{took:.3f} s"
        page.wait("document.title.includes('2 critical')", "the title tells")
        self.n3.put("/v1/agent/service/deregister/new-2")
        page.wait("![...document.querySelectorAll('.service-name')].some((e) => e.textContent === 'new-2')", "it is gone")
        self.picture(page, "services")
        self.settle(page)
        return f"registered: {slowest * 1000:.0f} ms; critical: {took * 1000:.0f} ms"

    def an_agent_that_dies_is_on_the_page_within_a_second_of_the_agent_knowing(self):
        victim = self.cluster.start("n4", join=self.n1.gossip)
        page = self.open("#/members")
        page.wait("document.querySelector('main').innerText.includes('n4')", "the member")
        page.eval("""
            window.seen = null;
            new MutationObserver(() => {
                const row = [...document.querySelectorAll('tbody tr')].find((r) => r.querySelector('th').innerText.trim() === 'n4');
                if (row && row.innerText.includes('failed') && window.seen === null) window.seen = Date.now();
            }).observe(document.querySelector('main'), { subtree: true, childList: true, characterData: true, attributes: true });
        """)
        victim.kill()
        poll("the agent knows", lambda: any(m["name"] == "n4" and m["status"] == "failed" for m in self.n1.get("/v1/shoal/members")))
        known = now_ms()
        seen, _ = page.wait("window.seen", "the page shows it", patience=3)
        took = max(0.0, seen - known)
        assert took <= VISIBLE_WITHIN_S * 1000, f"{took:.0f} ms"
        page.wait("document.querySelector('#announcer').textContent.includes('n4')", "it is announced")
        self.goto(page, "#/events")
        page.wait("document.querySelector('.events').innerText.includes('n4 failed')", "the list of events tells")
        self.settle(page)
        return f"{took:.0f} ms after the agent's API said so"

    def an_agent_that_cannot_be_reached_is_said_and_found_again(self):
        port = free_port()
        lone = self.cluster.start("lone", http_port=port)
        page = self.browser.page(f"http://127.0.0.1:{port}/ui/")
        page.wait("document.querySelector('#link.is-live')", "the page is live")
        lone.kill()
        page.wait("document.querySelector('#banner').innerText.includes('cannot be reached')", "the banner", patience=5)
        self.picture(page, "unreachable")
        lone = self.cluster.start("lone", http_port=port)
        lone.register("back")
        page.wait("document.querySelector('#banner').hidden && document.querySelector('#link.is-live')", "it is found again", patience=15)
        page.wait("document.querySelector('.service-list').innerText.includes('back')", "and what it knows now")
        self.settle(page, f"http://127.0.0.1:{port}", allowed=("ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "ERR_INCOMPLETE"))

    def an_agent_that_stands_still_or_hears_nobody_is_said(self):
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        here = self.cluster.start("here", http_port=port)
        there = self.cluster.start("there", join=here.gossip)
        poll("two members", lambda: len(here.get("/v1/shoal/members")) == 2)
        page = self.browser.page(f"{base}/ui/")
        page.wait("document.querySelector('#link.is-live')", "the page is live")
        with here.paused():
            page.wait("document.querySelector('#banner').innerText.includes('here has not answered for')", "it stands still")
        page.wait("document.querySelector('#banner').hidden && document.querySelector('#link.is-live')", "it goes on", patience=15)
        with there.paused():
            page.wait("document.querySelector('#banner').innerText.includes('here has heard no other agent')", "it hears nobody", patience=20)
            self.picture(page, "alone")
        page.wait("document.querySelector('#banner').hidden", "it hears somebody", patience=20)
        self.settle(page, base)

    def events_wait_while_they_are_paused(self):
        page = self.open("#/events")
        page.wait("document.querySelector('.event')", "history is there")
        page.eval("document.querySelector('.pause').click()")
        before = page.eval("document.querySelector('.events').innerText")
        self.n2.register("while-paused")
        page.wait("document.querySelector('.pause').innerText.includes('new')", "it tells that there are new ones")
        assert page.eval("document.querySelector('.events').innerText") == before, "the list stands still"
        page.eval("document.querySelector('.pause').click()")
        page.wait("document.querySelector('.events').innerText.includes('while-paused')", "it goes on")
        at = page.eval("document.querySelector('.event time').dateTime")
        assert at.endswith("Z"), at
        self.settle(page)

    # ---- who may see it

    def a_token_is_asked_for_and_sent_and_nowhere_else(self):
        token = "correct-horse-battery"
        port = free_port()
        file = self.cluster.file("token", token + "\n")
        config = self.cluster.file("guarded.toml", f'http_token_file = "{file}"\n')
        guarded = self.cluster.start("guarded", http_port=port, config=config)
        guarded.register("secret")
        page = self.browser.page(f"http://127.0.0.1:{port}/")
        page.wait("document.querySelector('#token-form:not([hidden])') && document.activeElement.id === 'token'", "the form")
        assert "secret" not in page.eval("document.body.innerText")
        page.type("wrong-horse-battery")
        page.key("Enter")
        page.wait("document.querySelector('#token-error').textContent.includes('does not know')", "it was wrong")
        self.picture(page, "token")
        page.type(token)
        page.key("Enter")
        page.wait("document.querySelector('.service-list')?.innerText.includes('secret')", "the service")
        assert page.eval("sessionStorage.getItem('shoal-token')") == token
        assert page.eval("JSON.stringify(localStorage)") == "{}"
        assert not any(token in url for url in page.requests), "a token stands in no address"
        page.call("Page.reload")
        page.wait("document.querySelector('.service-list')?.innerText.includes('secret')", "it is kept in the tab")
        page.eval("document.querySelector('#forget').click()")
        page.wait("document.querySelector('#token-form:not([hidden])')", "it was forgotten")
        self.settle(page, f"http://127.0.0.1:{port}", allowed=("403",))

    def who_may_not_read_is_told_why(self):
        port = free_port()
        config = self.cluster.file("closed.toml", "[access]\nread = [\"root\"]\n")
        self.cluster.start("closed", http_port=port, config=config)
        page = self.browser.page(f"http://127.0.0.1:{port}/ui/")
        page.wait("document.querySelector('#banner').innerText.includes('access.read allows root')", "the rule is named")
        assert page.eval("document.querySelector('#token-form').hidden"), "a token would not help"
        self.settle(page, f"http://127.0.0.1:{port}", allowed=("403",))

    # ---- names come from outside

    def hostile_names_are_text(self):
        check = {"CheckID": f"c {HOSTILE}"[:120], "Name": HOSTILE, "Notes": HOSTILE, "TTL": "3600s", "Status": "critical"}
        self.n2.register(HOSTILE[:100], ID=f"id {HOSTILE}"[:120], Tags=[HOSTILE, "javascript:alert(1)"], Meta={"k": HOSTILE}, Check=check,
                         Address="<script>alert(4)</script>")
        self.n2.put("/v1/agent/check/register", {"Name": HOSTILE, "CheckID": "node-check", "Notes": HOSTILE, "TTL": "3600s", "Status": "warning"})
        self.n2.put("/v1/agent/check/update/node-check", {"Status": "critical", "Output": HOSTILE})
        page = self.open()
        page.wait(f"document.querySelector('.service-list').innerText.includes('<img src=x')", "its name is shown as it is")
        for route in [*ROUTES, "#/members/n2", "#/map/n2", f"#/services/{HOSTILE}", "#/services/%", f"#/members/{HOSTILE}"]:
            page.eval(f"location.hash = {route!r}")
            time.sleep(0.15)
        page.eval("location.hash = '#/services'")
        page.wait("document.querySelector('.service-list a[href*=img]')", "the list")
        page.eval("document.querySelector('.service-list a[href*=img]').click()")
        page.wait("document.querySelector('.detail tbody th a')", "its instance")
        page.eval("document.querySelector('.detail tbody th a').click()")
        page.wait("document.querySelector('.card')?.innerText.includes('<script>window.pwned=2</script>')", "all of it")
        self.picture(page, "hostile")
        assert page.eval("window.pwned === undefined"), "it ran"
        assert page.eval("document.querySelectorAll('main img, main script, main b, body > script').length") == 0
        assert page.eval("[...document.querySelectorAll('a')].every((a) => a.getAttribute('href').startsWith('#'))")
        assert page.eval("document.scrollingElement.scrollWidth <= innerWidth")
        page.size(360, 740, phone=True)
        for route in ["#/services", "#/members/n2", "#/events"]:
            self.goto(page, route)
            assert page.eval("document.scrollingElement.scrollWidth <= innerWidth"), f"{route} is wider than a phone"
        self.settle(page)
        self.n2.put("/v1/agent/check/deregister/node-check")

    # ---- who reads it, and with what

    def the_keyboard_reaches_everything(self):
        page = self.open()
        page.wait("document.querySelector('.service')", "services")
        page.key("Tab")
        assert page.eval("document.activeElement.id") == "skip", page.eval("document.activeElement.outerHTML.slice(0, 200)")
        reached = []
        for _ in range(40):
            found = page.eval(FOCUSED)
            assert found["ring"], f"the focus cannot be seen on {found}"
            reached.append(found["what"])
            page.key("Tab")
        for want in ["skip", "theme", "tab-services", "tab-figures", "service-search", "service-filter", "a.service"]:
            assert any(want in what for what in reached), f"{want} is not reached: {reached}"
        page.eval("document.querySelector('#tab-members').focus()")
        page.key("Enter")
        page.wait("location.hash === '#/members' && document.querySelector('#tab-members[aria-current=page]')", "the members")
        page.eval("document.querySelector('button.sort').focus()")
        page.key("Enter")
        page.wait("document.querySelector('th[aria-sort=ascending]')?.innerText.includes('Name')", "it is sorted")
        page.key(" ")
        page.wait("document.querySelector('th[aria-sort=descending]')?.innerText.includes('Name')", "the other way round")
        page.eval("document.querySelector('#skip').focus()")
        page.key("Enter")
        assert page.eval("document.activeElement.id") == "main"
        assert page.eval("location.hash") == "#/members", "skipping does not leave the view"
        self.settle(page)

    def everything_has_a_name_for_who_cannot_see_it(self):
        page = self.open()
        page.wait("document.querySelector('.service')", "services")
        for route in [*ROUTES, "#/services/cart-0", "#/members/n1"]:
            self.goto(page, route)
            time.sleep(0.3)
            nameless = page.eval(NAMELESS)
            assert not nameless, f"{route}: {nameless}"
            shape = page.eval(SHAPE)
            assert not shape, f"{route}: {shape}"
            tree = page.call("Accessibility.getFullAXTree")["nodes"]
            silent = [
                node["role"]["value"]
                for node in tree
                if not node.get("ignored")
                and node.get("role", {}).get("value") in ("button", "link", "textbox", "searchbox", "combobox", "checkbox", "img", "table", "navigation")
                and not node.get("name", {}).get("value")
            ]
            assert not silent, f"{route}: without a name: {silent}"
            roles = {node.get("role", {}).get("value") for node in tree}
            assert {"banner", "navigation", "main"} <= roles, roles
        self.settle(page)

    def it_can_be_read_in_light_and_in_dark(self):
        self.n1.register("weary", Check={"TTL": "3600s", "Status": "warning"})
        self.n1.register("drained")
        self.n1.put("/v1/agent/service/maintenance/drained?enable=true&reason=tests")
        grounds = set()
        worst = 21.0
        for dark in (False, True):
            page = self.open(dark=dark)
            page.wait("document.querySelector('.service')", "services")
            for route in [*ROUTES, "#/services/cart-1/n2/cart-1", "#/members/n2"]:
                self.goto(page, route)
                time.sleep(0.3)
                poor, least = page.eval(CONTRAST)
                assert not poor, f"{route}, {'dark' if dark else 'light'}: {poor}"
                worst = min(worst, least)
                self.picture(page, f"{'dark' if dark else 'light'}-{route[2:].replace('/', '-')}")
            before = page.eval("getComputedStyle(document.body).backgroundColor")
            grounds.add(before)
            page.eval("document.querySelector('#theme').click()")
            after = page.eval("getComputedStyle(document.body).backgroundColor")
            assert after != before, "the switch changes it"
            page.call("Page.reload")
            page.wait("document.querySelector('#link.is-live')", "the page is live")
            assert page.eval("getComputedStyle(document.body).backgroundColor") == after, "it is remembered"
            self.settle(page)
        assert len(grounds) == 2, grounds
        return f"least contrast {worst:.1f}"

    def it_fits_a_phone(self):
        page = self.open(width=360, height=740, phone=True)
        page.wait("document.querySelector('.service')", "services")
        for width in (360, 375, 768):
            page.size(width, 740, phone=True)
            for route in [*ROUTES, "#/services/cart-0", "#/services/cart-1/n2/cart-1", "#/members/n1"]:
                self.goto(page, route)
                time.sleep(0.2)
                wide = page.eval("[document.scrollingElement.scrollWidth, innerWidth]")
                assert wide[0] <= wide[1], f"{route}: {wide}"
                small = page.eval("[...document.querySelectorAll('button, select, input[type=search], #tabs a')].filter((e) => e.offsetHeight > 0 && !e.matches('.sort') && e.offsetHeight < 34).map((e) => e.outerHTML.slice(0, 80))")
                assert not small, f"{route}: too small for a finger: {small}"
                if width == 375:
                    self.picture(page, f"phone-{route[2:].replace('/', '-')}")
        self.settle(page)

    # ---- much of it

    def two_thousand_instances_stay_usable(self):
        for n in range(2000):
            self.n3.register(f"many-{n % 40}", ID=f"many-{n}", Port=1 + n, Tags=[f"shard{n % 7}"], Check={"TTL": "3600s", "Status": "passing" if n % 50 else "warning"})
        poll("all of them", lambda: self.n1.get("/v1/shoal/status")["catalog"]["instances"] >= 2000)
        page = self.open()
        page.wait("document.querySelector('.tile-instances').innerText.includes('2,0') || document.querySelector('.tile-instances').innerText.includes('1,9')", "all instances")
        for route, most in [("#/services", 6000), ("#/services/many-3", 6000), ("#/members/n3", 6000), ("#/events", 12000)]:
            self.goto(page, route)
            time.sleep(0.3)
            nodes = page.eval("document.querySelectorAll('*').length")
            assert nodes < most, f"{route}: {nodes} elements"
        self.goto(page, "#/members/n3")
        page.wait("document.querySelector('.detail .pager:not([hidden])')", "pages")
        page.eval("document.querySelector('.detail .pager button:last-of-type').click()")
        page.wait("document.querySelector('.detail .pager').innerText.includes('101 to 200')", "the second page")
        self.goto(page, "#/services")
        page.eval("document.querySelector('#service-search').focus()")
        page.type("many-1999")
        page.wait("[...document.querySelectorAll('.detail tbody tr')].filter((row) => row.offsetParent).length === 1", "one is found")
        self.picture(page, "many")
        for n in range(700):
            self.n3.put(f"/v1/agent/check/update/service:many-{n}", {"Status": "warning" if n % 2 else "critical"})
        self.goto(page, "#/events")
        page.wait("document.querySelectorAll('.event').length > 400", "events")
        assert page.eval("document.querySelectorAll('.event').length") <= 500, "the list is bounded"
        self.settle(page)

    def parts_of_the_page_do_what_they_should(self):
        page = self.open()
        for name, story in UNITS.items():
            result = page.eval(f"(async () => {{ {story} }})()")
            assert result is True, f"{name}: {result}"
        self.settle(page)

    def run(self):
        stories = [
            self.parts_of_the_page_do_what_they_should,
            self.a_service_that_registers_is_on_the_page_within_a_second,
            self.an_agent_that_dies_is_on_the_page_within_a_second_of_the_agent_knowing,
            self.events_wait_while_they_are_paused,
            self.the_keyboard_reaches_everything,
            self.everything_has_a_name_for_who_cannot_see_it,
            self.it_can_be_read_in_light_and_in_dark,
            self.it_fits_a_phone,
            self.a_token_is_asked_for_and_sent_and_nowhere_else,
            self.who_may_not_read_is_told_why,
            self.an_agent_that_cannot_be_reached_is_said_and_found_again,
            self.an_agent_that_stands_still_or_hears_nobody_is_said,
            self.hostile_names_are_text,
            self.two_thousand_instances_stay_usable,
        ]
        wanted = os.environ.get("STORIES", "")
        for story in stories:
            if wanted and not any(word in story.__name__ for word in wanted.split(",")):
                continue
            said = story()
            print(f"{story.__name__.replace('_', ' ')}{f' ({said})' if said else ''}", flush=True)

    def close(self):
        self.browser.close()
        self.cluster.close()


def main():
    pictures = sys.argv[2] if len(sys.argv) > 2 else None
    if pictures:
        os.makedirs(pictures, exist_ok=True)
    checks = Checks(sys.argv[1], pictures)
    try:
        checks.run()
    finally:
        checks.close()
    print("the dashboard works")


if __name__ == "__main__":
    main()
