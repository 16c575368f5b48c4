"""Function words, by language: they tell languages apart, and in a query they do not count.

They are written as `openmem.analysis.characters.folded` writes them.
"""

from __future__ import annotations

from functools import cache
from typing import Final

_WORDS: Final = {
    "en": """
        i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers
        herself it its itself they them their theirs themselves what which who whom this that these those am is
        are was were be been being have has had having do does did doing a an the and but if or because as until
        while of at by for with about against between into through during before after above below to from up
        down in out on off over under again further then once here there when where why how all any both each
        few more most other some such no nor not only own same so than too very s t can will just don should now
    """,
    "de": """
        ich du er sie es wir ihr mich dich ihn uns euch mir dir ihm ihnen mein meine meinen meinem meiner meines
        dein deine deinen deiner sein seine seinen seinem seiner ihre ihren ihrem ihrer unser unsere unseren der
        die das den dem des ein eine einen einem einer eines kein keine keinen und oder aber denn weil dass ob
        wenn als wie so nicht nur auch noch schon sehr in im an am auf aus bei beim bis durch fur gegen mit nach
        ohne seit um unter von vom vor zu zum zur uber ist bin bist sind seid war waren wird werden wurde wurden
        hat habe hast haben hatte hatten kann konnen muss soll will wer was wo wann warum wieso welche welcher
        welches welchem welchen wen wem wessen woher wohin wieviel viel hier da dort dann jetzt sich man diese
        dieser dieses diesem diesen zwischen wahrend immer nie oft darf durfen durft mag mogen mochte wollen
        sollen musst mussen musste mussten sollte sollten konnte konnten wollte wollten werde werdet worden
        gewesen alle allen aller alles jede jeder jedes jeden jedem andere anderen anderer anderes anderem
        einige einigen einiger mehr viele vielen vieler wenige nichts etwas damit dabei daher davon dazu deren
        dessen denen ihres selbst doch jene jener jenen gibt gab womit wofur worauf wobei
    """,
    "fr": """
        je tu il elle on nous vous ils elles me te se moi toi lui leur leurs le la les l un une des de du d au
        aux a et ou mais donc car ni que qu qui quoi dont quand comment pourquoi combien quel quelle quels
        quelles lequel laquelle ce cet cette ces c ca cela mon ma mes ton ta tes son sa ses notre nos votre vos
        en y dans par pour sur sous avec sans chez entre vers ne n pas plus moins tres aussi si est sont etait
        etaient sera suis es sommes etes ai as avons avez ont avait fait s j m t etre avoir meme tout tous toute
        toutes lors depuis pendant apres avant peux peut peuvent pouvait pouvaient pourrait dois doit doivent
        devait faire faisait faites autre autres chaque certains certaines quelques celle celui ceux celles fut
        furent serait seraient aura auront aurait avaient aucun aucune ainsi alors rien beaucoup quelqu
    """,
    "es": """
        yo tu el ella ello nosotros vosotros ellos ellas usted ustedes me te se nos os le les lo la los las un
        una unos unas de del a al y e o u pero ni que quien quienes cual cuales cuando donde adonde como cuanto
        cuanta cuantos cuantas porque por para con sin sobre entre desde hasta hacia en mi mis tus su sus
        nuestro nuestra nuestros nuestras este esta estos estas ese esa esos esas eso esto aquel es son era eran
        fue fueron ser soy eres somos estoy estan estaba ha he has han hay habia muy mas no si tambien ya qui
        durante tengo tienes tiene tienen tenemos tenia tenian tuvo tuvieron tener puedo puedes puede pueden
        podemos podia podian podria podrian pudo pudieron debe deben deber debia deberia hacer hace hacen hizo
        hicieron otro otra otros otras todo toda todos todas cada alguno alguna algunos algunas algun mismo
        misma mismos mismas antes despues aunque mientras tanto asi aun aquella aquellos aquellas cuyo cuya sido
        siendo habian hubo estaban estuvo seria algo nadie ningun ninguna segun tras contra
    """,
    "pt": """
        eu tu ele ela nos vos eles elas voce voces me te se lhe lhes o a os as um uma uns umas de do da dos das
        em no na nas num numa ao aos pelo pela pelos pelas por para com sem sob sobre entre ate desde e ou mas
        nem que quem qual quais quando onde como quanto quanta quantos quantas porque meu minha meus minhas teu
        tua seu sua seus suas nosso nossa este esta estes estas esse essa isso isto aquele aquela sao era eram
        foi foram ser sou somos estao estava tem tenho ha muito mais nao sim tambem ja temos tinha tinham teve
        tiveram ter posso pode podem podemos podia podiam deve devem devo devia fazer faz fazem fez outro outra
        outros outras todo toda todos todas cada algum alguma alguns algumas mesmo mesma antes depois ainda cujo
        cuja havia houve sendo sido esteve fosse deste desta neste nesta nesse nessa dele dela deles delas
    """,
    "it": """
        io tu lui lei noi voi loro egli ella mi ti si ci vi lo la li le gli ne il i l un uno una di del dello
        della dei degli delle d a al allo alla ai agli alle da dal dalla dai dalle in nel nello nella nei nelle
        su sul sulla con per tra fra e ed o ma se che chi cui quale quali quando dove come quanto quanta quanti
        quante perche cosa mio mia miei mie tuo tua suo sua suoi sue nostro nostra questo questa questi queste
        quello quella quelli quelle sono era erano fu furono essere sei siamo ho hai ha abbiamo hanno aveva non
        piu molto anche gia c dell nell all dall sull quest posso puoi puo possono potrebbe deve devono devo
        dovrebbe altro altra altri altre ogni tutti tutte tutto tutta alcuni alcune stesso stessa dopo ancora
        avevano avere stato stata stati stanno avuto quei quel nostri vostro
    """,
    "nl": """
        ik jij je hij zij ze wij we jullie u mij me jou hem haar ons hen hun mijn jouw zijn onze de het een der
        dit dat deze die en of maar want omdat als dan dus niet geen ook nog al wel in op aan uit bij met naar
        om over onder tot tussen van voor door tegen zonder sinds te is ben bent was waren wordt worden werd
        heeft heb hebt hebben had kan kunnen moet zal zou wie wat waar wanneer waarom hoe hoeveel welke welk er
        hier daar zo zeer veel meer altijd nooit vaak moeten mag mogen willen kon konden zullen zouden alle
        andere elke elk iedere sommige zelf dezelfde alles niets iets geworden geweest doen doet deed waarmee
        waarin waarop daarmee daarvan toch
    """,
    "sv": """
        jag du han hon den det vi ni de mig dig honom henne oss er dem min mitt mina din ditt dina sin sitt sina
        hans hennes var vart vara deras en ett och eller men for att som om nar dar hur varfor vad vem vilken
        vilket vilka i pa av till fran med utan under over mellan efter innan hos vid ar blir blev har hade kan
        ska skulle inte ej bara ocksa redan mycket mer denna detta dessa sa an nu alltid aldrig ofta kunde maste
        vill ville alla allt andra annan annat varje nagon nagot nagra samma ingen inget blivit varit
    """,
    "da": """
        jeg du han hun den det vi i de mig dig ham hende os jer dem min mit mine din dit dine sin sit sine hans
        hendes vores deres en et og eller men for at som om nar hvor hvordan hvorfor hvad hvem hvilken hvilket
        hvilke pa af til fra med uden under over mellem efter hos ved er var bliver blev har havde kan skal
        skulle ikke kun ogsa allerede meget mere denne dette disse sa nu da der her hvornar altid aldrig ofte
        kunne vil alle andre anden andet hver nogen noget nogle samme ingen intet blevet vaeret
    """,
    "no": """
        jeg du han hun den det vi dere de meg deg ham henne oss dem min mitt mine din ditt dine sin sitt sine
        hans hennes var vart vare deres en ei et og eller men for at a som om nar hvor hvordan hvorfor hva hvem
        hvilken hvilket hvilke i pa av til fra med uten under over mellom etter hos ved er blir ble har hadde
        kan skal skulle ikke bare ogsa allerede mye mer denne dette disse sa na da der her alltid aldri ofte
        kunne vil alle andre annen annet hver noen noe samme ingen blitt vaert
    """,
    "fi": """
        mina sina han me te he minun sinun hanen meidan teidan heidan minua minulla minulle sinulla hanella se
        ne tama nama tuo nuo sen taman tata siita tassa siella taalla ja tai mutta koska jos kun etta kuin niin
        myos vain jo viela ei en et emme ette eivat on ovat oli olivat olen olet olemme ole ollut olla mika mita
        kuka ketka missa mihin mista milloin miksi miten kuinka kenen montako paljonko joka jonka jotka mukaan
        kanssa ennen jalkeen aina usein voivat kaikki muut jokainen
    """,
    "pl": """
        ja ty on ona ono my wy oni one mnie mi cie ci go jego jej nam nas wam was im ich nimi moj moja moje
        mojej mojego moich twoj twoja twoje swoj swoja nasz nasza ten ta to te tego tej tym tych i oraz lub albo
        ale bo ze zeby czy jak gdy kiedy gdzie dlaczego co kto kogo komu czym ktory ktora ktore ktorego ile w we
        na do z od dla po przez przed pod nad przy za o u nie tak sie jest sa byl byla bylo byly bedzie byc mam
        ma maja juz tylko tez bardzo jaki jaka jakie jakiego ktorej ktorym moze moga mozna musi musza byli beda
        kazdy kazda wszystkie wszystko wszyscy inny inne inna takze sobie
    """,
    "cs": """
        ja ty on ona ono my vy oni me mi te ti ho mu ji nam nas vam vas jim jich muj moje meho moji tvuj svuj
        nase ten ta to tato toto tento a i nebo ale protoze ze aby jestli jako kdyz kdy kde kam proc co kdo koho
        komu cim ktery ktera ktere kolik jaky jaka jake v ve na do z od pro po pres pred pod nad pri za o u s se
        k ke ne neni je jsou jsem jsi jsme byl byla bylo byly bude mam ma maji uz jen take velmi jeho jejich
        muze mohou musi budou kazdy kazda vsechny jiny jine jina
    """,
    "ro": """
        eu tu el ea noi voi ei ele ma te se il o ne va le mie tie lui imi iti isi un unei unui cel cea cei cele
        al a ai ale de din la in pe cu fara pentru prin despre dupa intre spre pana si sau dar ca ce cine care
        cand unde cum cat cata cati cate carui carei meu mea mei mele tau ta sa nostru acest aceasta acesti
        aceste acel acea este e sunt era erau fi fost am are avem au nu mai foarte doar deja
    """,
    "hu": """
        en te o mi ti ok engem teged ot minket nekem neked neki a az egy ez ezek azok ezt azt es vagy de mert
        hogy ha mint ami aki amely ki mit kit hol hova honnan mikor miert hogyan hany mennyi melyik milyen nem
        ne is csak mar meg nagyon van vannak volt voltak lesz lenni vagyok be le fel el rol ra utan elott alatt
        kozott szerint altal ezen azon mely mindig kell lehet minden volna
    """,
    "tr": """
        ben sen o biz siz onlar beni seni onu bana sana ona benim senin onun bizim sizin onlarin bu bunlar ve
        veya ya da de ama cunku ki eger gibi icin ile kadar gore sonra once mi mu midir ne nedir kim kimin kime
        nerede nereye nereden nasil neden niye hangi hangisi kac degil var yok bir her cok daha en olan olarak
        oldu olur idi ise hem sadece olabilir olmus tum butun bazi diger ayni bile
    """,
    "id": """
        saya aku kamu anda dia ia kami kita mereka ini itu yang dan atau tetapi tapi karena jika kalau bahwa
        untuk dari ke di pada dengan tanpa oleh dalam antara sebagai seperti adalah ialah akan telah sudah belum
        sedang tidak bukan juga hanya sangat lebih apa apakah siapa mana dimana kapan mengapa kenapa bagaimana
        berapa ada para nya dapat bisa harus semua setiap lain
    """,
    "ca": """
        jo tu ell ella nosaltres vosaltres ells elles em et es ens us el la els les l un una uns unes de del
        dels d a al als i o pero ni que qui quin quina quins quines quan on com quant quanta per amb sense sobre
        entre des fins en meu meva meus teu teva seu seva nostre aquest aquesta aquests aquestes aquell aixo son
        era eren va van ser soc ets ha han hi ho no si molt tambe ja
    """,
    "vi": """
        toi ban anh chi em ong ba no chung ta ho cua va hoac nhung vi neu thi la ma rang cho voi trong ngoai
        tren duoi tu den o tai bang ve khong chua da dang se cung rat nay kia do gi nao ai dau khi sao bao nhieu
        may cac mot duoc bi co
    """,
    "ru": """
        я ты он она оно мы вы они меня тебя его ее нас вас их мне тебе ему ей нам вам им мной мой моя мое мои
        моего моей моих моему мою твой твоя свой своя свои своей наш наша ваш этот эта это эти этого этой тот та
        те того и или но а да что чтобы если как когда где куда откуда почему зачем кто кого кому чем какой
        какая какое какие какого какую каком каких который которая которые сколько чей в во на с со к ко по за
        из от до у о об для при без под над между через не ни же ли бы то был была было были быть есть так уже
        еще только очень после перед может могут можно мог могла могли должен должна должны нужно надо будет
        будут весь все всех другой другая другие каждый каждая самый сам сама себя себе этих тех такой такая
        такие том этом ней них
    """,
    "uk": """
        я ти він вона воно ми ви вони мене тебе його її нас вас їх мені тобі йому їй нам вам їм мій моя моє мої
        моєї мого твій свій наш ваш цей ця це ці цього той та те ті і й або але а що щоб якщо як коли де куди
        звідки чому навіщо хто кого кому чим який яка яке які якого скільки чий у в на з із зі до по за від для
        при без під над між через не ні же чи б був була було були бути є так вже ще тільки дуже може можуть
        можна треба буде будуть всі все інший інша інші кожен кожна себе
    """,
    "bg": """
        аз ти той тя то ние вие те мен теб него нея нас вас тях ме го я ни ви ги ми му й им мой моя мое мои моят
        моята твой свой наш този тази това тези онзи и или но а че да ако както когато къде кога защо кой коя
        кое кои кого какво какъв каква колко чий в във на с със към по за от до у без под над между през не ли
        ще е са съм си сме сте беше бяха бил има няма вече само много се може могат трябва бъде всички всеки
        друг друга други
    """,
    "sr": """
        ja ti on ona ono mi vi oni mene tebe njega nje nas vas njih mu joj nam vam im moj moja moje moji mog
        tvoj svoj ovaj ova ovo taj ta to i ili ali a da ako kao kad kada gde gdje kuda zasto ko tko sta sto koga
        kome cime koji koja koje koliko ciji u na s sa k po za iz od do o kod bez pod nad izmedu kroz ne nije li
        je su sam si smo ste bio bila bilo bili biti ima vec samo vrlo se
        ја ти он она оно ми ви они мене тебе њега њу нас вас њих му јој нам вам им мој моја моје моји твој свој
        овај ова ово тај та то и или али а ако као кад када где куда зашто ко шта кога коме чији који која које
        колико у на са за од до код без под над између кроз не није ли је су сам си смо сте био била било били
        бити има већ само врло се
    """,
    "el": """
        εγω εσυ αυτοσ αυτη αυτο εμεισ εσεισ αυτοι αυτεσ με σε τον την το τουσ τισ τα μου σου του τησ μασ σασ ο η
        οι των στο στη στην στον στουσ στισ στα και αλλα ομωσ γιατι επειδη οτι πωσ αν οταν που ποιοσ ποια ποιο
        ποιοι ποιεσ ποιον τι ποτε ποσο ποσα ποσοι απο για χωρισ προσ κατα μετα πριν μεχρι ωσ δεν μην να θα ειναι
        ειμαι εισαι ημουν ηταν εχω εχει εχουν ενασ μια ενα πολυ μπορει μπορω μπορουν πρεπει ολα ολοι ολεσ αλλο
        αλλη αλλοι καθε ιδιο ειχε ειχαν υπαρχει
    """,
    "ar": """
        انا انت هو هي نحن انتم هم هن انني هذا هذه ذلك تلك هولاء الذي التي الذين في من الي علي عن مع بين حتي منذ
        عند لدي بعد قبل تحت فوق دون كل بعض او ام و ثم لكن لان ان اذا كما لو قد لقد سوف لا لم لن ليس ليست ما ماذا
        متي اين كيف لماذا هل كم اي ايه كان كانت كانوا يكون تكون هناك هنا به بها له لها لهم فيه فيها منه منها
        عليه عليها يجب غير ايضا اذ
    """,
    "fa": """
        من تو او ما شما انها اين ان كه و يا اما ولي اگر چون براي از به در با بر تا بي هم نيز را چه چي كي كجا چرا
        چگونه چطور چند كدام است هست بود بودند شد شده مي بايد نه نمي خود ها هاي يك
    """,
    "he": """
        אני אתה את הוא היא אנחנו אתם הם הן אותי אותך אותו אותה אותנו שלי שלך שלו שלה שלנו שלהם זה זו זאת אלה של
        על אל עם בלי מן עד בין לפני אחרי תחת כל גם או אבל כי אם אשר מה מי איפה מתי למה מדוע איך כמה איזה איזו לא
        כן יש אין היה היתה היו יהיה כבר רק מאוד עוד לי לך לו לה
    """,
    "hi": """
        मैं तू तुम आप वह वे यह ये हम मेरा मेरी मेरे तेरा तुम्हारा आपका उसका उसकी उसके इसका हमारा मुझे तुम्हें
        उसे इसे हमें उन्हें उनके उनका उनकी का की के को से में पर तक ने और या लेकिन कि क्योंकि अगर तो जब तब जो
        क्या कौन किस किसने किसको कब कहां क्यों कैसे कितना कितने कितनी कौनसा सा सी है हैं था थी थे हूँ हूं
        हो होता होती होते गया गई रहा रही रहे कर करता करते करना नहीं न भी ही बहुत एक इस उस
    """,
    "bn": """
        আমি তুমি আপনি সে তিনি আমরা তারা আমার তোমার আপনার তার আমাদের তাদের এই ওই এটা সেটা ও এবং বা কিন্তু যে যদি
        কারণ জন্য থেকে সঙ্গে সাথে কি কী কে কার কখন কোথায় কেন কিভাবে কীভাবে কত কোন হয় ছিল আছে না নেই
    """,
    "ur": """
        ميں تم اپ وه يه هم ميرا ميري ميرے تمهارا اس ان كا كي كے كو سے پر تك نے اور يا ليكن كه كيونكه اگر تو جب
        جو كيا كون كس كب كهاں كيوں كيسے كتنا كتنے كتني هے هيں تها تهي تهے هوں هو نهيں بهي هي ايك
    """,
    "ta": """
        நான் நீ நீங்கள் அவன் அவள் அவர் அது நாம் நாங்கள் அவர்கள் என் எனது உன் உங்கள் அவரது இந்த அந்த இது மற்றும்
        அல்லது ஆனால் என்று என்ன யார் எப்போது எங்கே ஏன் எப்படி எத்தனை எவ்வளவு எந்த இல்லை உள்ளது ஒரு
    """,
}

# Vietnamese has many words that only a tone tells from a function word; these are how function words are spelled.
_VIETNAMESE: Final = """
    tôi bạn anh chị em ông bà nó chúng ta họ của và hoặc nhưng những vì nếu thì là mà rằng cho với trong ngoài
    trên dưới từ đến ở tại bằng về không chưa đã đang sẽ cũng rất này kia đó gì nào ai đâu khi sao bao nhiêu
    nhiều mấy các một được bị có
"""
# Other words that differ from a function word by their accents only.
_ACCENTED: Final = {
    "da": "hår", "es": "té sé", "fr": "sûr sûre dû", "hu": "él fél lé", "it": "tè", "no": "hår", "pl": "zęby",
    "pt": "pêlo", "sv": "år hår", "tr": "işe",
}  # fmt: skip

LANGUAGES: Final = tuple(_WORDS)


def languages_of_function_word(lower: str, folded: str) -> tuple[str, ...] | None:
    """The languages of which a word is a function word, None if of none. One that is written without accents may be any
    that differs by its accents; one with accents is itself.

    Args:
        lower, folded: the word without case, with its accents and without.
    """
    known = languages_by_word().get(folded)
    if known is None or lower == folded:
        return known
    if "vi" in known and lower not in _vietnamese():
        known = tuple(code for code in known if code != "vi")
    others = _accented().get(lower, ())
    return tuple(code for code in known if code not in others) or None


@cache
def _vietnamese() -> frozenset[str]:
    return frozenset(_VIETNAMESE.split())


@cache
def _accented() -> dict[str, tuple[str, ...]]:
    return _by_word(_ACCENTED)


@cache
def languages_by_word() -> dict[str, tuple[str, ...]]:
    """The languages of which a word, as it is folded, is a function word."""
    return _by_word(_WORDS)


def _by_word(by_language: dict[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for language, words in by_language.items():
        for word in words.split():
            found[word] = (*found.get(word, ()), language)
    return found
