"""One short page in each of nine languages: a question, a telling sentence, a pointer elsewhere, a list lead-in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    language: str
    title: str
    question: str
    telling: str
    following: str
    lead_in: str

    @property
    def paragraphs(self) -> tuple[str, ...]:
        return (self.question, f"{self.telling} {self.following}", self.lead_in)

    @property
    def text(self) -> str:
        return "\n\n".join(self.paragraphs)


SAMPLES = (
    Sample(
        "en",
        "Summary cache",
        "Why is the second run faster?",
        "The summary cache keeps every finished summary in a small database on disk.",
        "It is emptied when the database grows over its limit.",
        "The cache stores these values:",
    ),
    Sample(
        "de",
        "Cache für Zusammenfassungen",
        "Warum ist der zweite Lauf schneller?",
        "Der Cache für Zusammenfassungen speichert jede fertige Zusammenfassung in einer kleinen Datenbank auf der Platte.",
        "Er wird geleert, wenn die Datenbank über ihre Grenze wächst.",
        "Der Cache speichert die folgenden Werte:",
    ),
    Sample(
        "fr",
        "Cache des résumés",
        "Pourquoi la deuxième exécution est-elle plus rapide ?",
        "Le cache des résumés conserve chaque résumé terminé dans une petite base de données sur le disque.",
        "Il est vidé lorsque la base dépasse sa limite.",
        "Le cache conserve les valeurs suivantes :",
    ),
    Sample(
        "es",
        "Caché de resúmenes",
        "¿Por qué es más rápida la segunda ejecución?",
        "La caché de resúmenes guarda cada resumen terminado en una pequeña base de datos en el disco.",
        "Se vacía cuando la base de datos supera su límite.",
        "La caché guarda los siguientes valores:",
    ),
    Sample(
        "ru",
        "Кэш сводок",
        "Почему второй запуск быстрее?",
        "Кэш сводок хранит каждую готовую сводку в небольшой базе данных на диске.",
        "Он очищается, когда база данных превышает свой предел.",
        "Кэш хранит следующие значения:",
    ),
    Sample(
        "zh",
        "摘要缓存",
        "为什么第二次运行更快？",
        "摘要缓存把每一个完成的摘要保存在磁盘上的一个小型数据库里。",
        "当数据库超过上限时，它会被清空。",
        "缓存保存以下值：",
    ),
    Sample(
        "ja",
        "要約キャッシュ",
        "なぜ二回目の実行は速いのですか？",
        "要約キャッシュは、完成した要約をすべてディスク上の小さなデータベースに保存します。",
        "データベースが上限を超えると空になります。",
        "キャッシュは次の値を保存します：",
    ),
    Sample(
        "ar",
        "ذاكرة الملخصات",
        "لماذا يكون التشغيل الثاني أسرع؟",
        "تحفظ ذاكرة الملخصات كل ملخص مكتمل في قاعدة بيانات صغيرة على القرص.",
        "يتم تفريغها عندما تتجاوز قاعدة البيانات حدها الأقصى.",
        "تحفظ الذاكرة القيم التالية:",
    ),
    Sample(
        "hi",
        "सारांश कैश",
        "दूसरी बार चलाना तेज़ क्यों होता है?",
        "सारांश कैश हर पूरे सारांश को डिस्क पर एक छोटे डेटाबेस में रखता है।",
        "डेटाबेस की सीमा पार होने पर यह खाली हो जाता है।",
        "कैश ये मान रखता है:",
    ),
)
