"""The lexicon: filler words, and general topics with words that go together.

This is all the offline model knows of the world, written by hand from everyday
English, not fitted to any dataset. A topic links words that share no letters, such as
"refund" and "billing"; a word may have several topics, or, mostly, none.
"""

from collections.abc import Mapping
from types import MappingProxyType

_FILLER = """
a about after again all also am an and any are aren't as at be because been before
being both but by can can't cannot could couldn't did didn't do does doesn't doing
don't down each either else even ever every few for from further get gets getting
give given go goes going got had has hasn't have haven't having he hello help her
here hers hi him his how however i i'd i'll i'm i've if in into is isn't it it's its
itself just know let like made make makes many may maybe me might more most much
must my myself need needs neither no nor not now of off on once one only onto or
other our ours out over own per please put quite rather really said same say see
several shall she should since so some someone something still such take tell than
thank thanks that that's the their theirs them then there these they thing things
this those though through thus till to too try two under until up upon us use used
using very via want wants was wasn't way we we're were what when where whether which
while who whom whose why will with within without won't would yes yet you your yours
"""

STOPWORDS = frozenset(_FILLER.split())
"""Words that say nothing about what a text is about."""

TOPICS: Mapping[str, str] = MappingProxyType(
    {
        "money": """
            billing bill billed charge charged card credit debit payment pay paid
            invoice refund refunded receipt subscription fee fees money bank price
            tax vat amount euro dollar dollars cost overcharged twice statement renewal
            reimburse transaction cent cents balance direct finance iban
            """,
        "delivery": """
            shipping ship shipped shipment delivery deliver delivered parcel package
            courier tracking track arrive arrived arrival address carrier warehouse
            dispatch dispatched box post postal customs late lost order freight van
            doorstep driver return returned logistics sent damaged depot
            """,
        "computing": """
            technical tech bug error crash crashes crashed app application software
            install installation update browser screen freeze freezes frozen server
            page button website load loading api code device wifi connect connection
            sync slow outage broken restart version feature upload download file export
            blank engineering developer integration fails failed timeout printer laptop
            phone battery firmware
            """,
        "identity": """
            account login log signin sign password username email profile locked unlock
            access reset verify verification authentication two-factor code identity
            settings delete deactivate personal permission security hacked member users
            user owner admin
            """,
        "selling": """
            sales sell buy buying purchase quote quotation demo plan plans upgrade
            enterprise pricing discount trial licence license seats offer contract
            partner partnership reseller team volume bulk interested compare
            considering negotiate procurement customer prospect evaluate evaluating
            """,
        "good": """
            positive good great excellent love loved loves happy pleased perfect
            wonderful amazing fantastic nice best delighted satisfied enjoy enjoyed
            recommend superb brilliant friendly helpful glad impressed praise beautiful
            smooth flawless correct right accurate success
            """,
        "bad": """
            negative bad terrible awful hate hated angry poor worst disappointed
            disappointing broken useless annoyed annoying horrible unacceptable rude
            waste complaint unhappy frustrated frustrating dreadful mediocre wrong
            problem fail failed slow dirty boring sad incorrect error
            """,
        "urgent": """
            urgent urgently immediately asap emergency critical high now today deadline
            hours blocked down outage priority soon quickly severe
            """,
        "work": """
            job career hire hiring employee colleague office manager leader leadership
            management boss business startup company entrepreneur market strategy salary
            meeting productivity habit
            """,
        "learning": """
            learn learning course school student study teacher teach university exam
            education training book lesson beginner beginners introduction tutorial
            class textbook science research
            """,
        "food": """
            food cook cooking recipe meal dinner lunch breakfast restaurant vegetarian
            vegan bread cake kitchen eat eating drink coffee tea wine fruit chef baking
            bake spice taste
            """,
        "travel": """
            travel trip journey flight hotel airport holiday vacation tourist city beach
            mountain mountains hiking hike train passport visit island sea voyage road
            adventure guide museum
            """,
        "health": """
            health doctor hospital medicine pain sleep exercise fitness sport running
            yoga gym diet patient therapy illness sick nurse mental stress body wellness
            training
            """,
        "story": """
            story novel fiction fantasy dragon magic wizard romance mystery detective
            murder crime thriller hero quest epic history historical war science space
            robot alien planet future film movie drama
            """,
        "art": """
            art music song sing guitar piano concert band paint painting draw drawing
            design photo photography dance theatre poem poetry gallery creative film
            """,
        "nature": """
            nature garden gardening plant plants tree trees flower animal animals dog
            cat bird birds forest river outdoor outdoors ocean climate weather wildlife
            soil environment green sustainable
            """,
        "law": """
            legal law contract court lawyer privacy gdpr terms policy compliance rights
            regulation dispute liability consent complaint
            """,
    }
)
"""Words by topic, separated by spaces; matched by their stems."""
